"""Code that nothing in the library, the examples or the benchmarks uses: vulture, and what it can't know.

Run it as ``python -m tests.contracts.dead_code``. An allowance that is no longer needed fails as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from vulture import Vulture

from tests.contracts.source_files import LIBRARY, python_files, shown

ALLOWED: Mapping[str, str] = {
    "__getattr__": "Python calls it for the lazy names of the package",
    "KeepObservation": "manifests name it as a wrapper's entrypoint",
    **dict.fromkeys(["FuzzEnv", "Lookup", "Meeting"], "manifests name them as entrypoints of environments"),
    "BEST_RETURN": "what a run on the environment is measured by",
    "render": "Gymnasium and PettingZoo call it",
    "abandoned_agent_steps": "a field of result.json",
    "OnnxActor": "the executor that exported policies are checked with",
    "latest": "what the checkpoint store's tests ask, without loading",
    "gather_view": "algorithms and networks of one's own read windows of steps with it",
    **dict.fromkeys(
        ["allow_reuse_address", "daemon_threads", "request_queue_size", "address_family", "handle_error"],
        "socketserver reads and calls them",
    ),
    **dict.fromkeys(
        ["server_version", "sys_version", "close_connection", "request_version", "send_error", "log_message"],
        "http.server reads and calls them",
    ),
    **dict.fromkeys(["readable", "readinto"], "io.RawIOBase calls them"),
    **dict.fromkeys(["ignore_aliases", "descend_resolver", "ascend_resolver"], "PyYAML calls them"),
    **dict.fromkeys(["inter_op_num_threads", "intra_op_num_threads"], "onnxruntime's session options"),
    **dict.fromkeys(["load_context", "predict"], "MLflow calls them on a pyfunc"),
    **dict.fromkeys(["nullable_schema", "get_default_value"], "pydantic calls them for a JSON schema"),
    "allow_tf32": "cuDNN's convolutions in torch read it",
    "order_enforce": "Gymnasium reads it from an environment's spec",
    "formatwarning": "the warnings module calls what it is set to",
}
"""Name → who uses it without naming it in Python. Attributes of other libraries' objects belong here too."""

BY_PYDANTIC = ("@field_validator", "@model_validator", "@field_serializer", "@model_serializer")


def unused(paths: Iterable[Path], allowed: Mapping[str, str] = ALLOWED) -> list[str]:
    """One line per finding. Fields and enum members of the spec are no dead code: manifests and the operator,
    the other half of the contract, read them."""
    vulture = Vulture(ignore_decorators=list(BY_PYDANTIC))
    vulture.scavenge([str(path) for path in paths])
    names: set[str] = set()
    found: list[str] = []
    for item in vulture.get_unused_code(min_confidence=60):
        path = Path(item.filename)
        if not path.is_relative_to(LIBRARY) or (_of_spec(path) and item.typ in ("variable", "attribute")):
            continue
        names.add(item.name)
        if item.name not in allowed:
            found.append(f"{shown(path)}:{item.first_lineno} {item.message}")
    found += [f"ALLOWED names {name}, which is in use or gone" for name in sorted(set(allowed) - names)]
    return found


def _of_spec(path: Path) -> bool:
    return path.is_relative_to(LIBRARY / "spec")


if __name__ == "__main__":
    tests = Path(__file__).resolve().parents[1]
    lines = unused(path for path in python_files() if not path.is_relative_to(tests))
    print("\n".join(lines) if lines else "Dead code: none")
    sys.exit(bool(lines))
