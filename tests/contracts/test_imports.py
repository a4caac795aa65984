"""What a start costs: the spec and the command line import nothing heavy, in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.contracts.source_files import LIBRARY, ROOT

HEAVY = {
    "fsspec",
    "gymnasium",
    "kubernetes",
    "matplotlib",
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pettingzoo",
    "prometheus_client",
    "ray",
    "safetensors",
    "torch",
}
SPEC = sorted(
    f"rl_platform.spec.{path.stem}" for path in (LIBRARY / "spec").glob("*.py") if path.stem != "__init__"
)


def imported(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after the statement."""
    listing = "import json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{listing}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import rl_platform",
        "from rl_platform import TrainingJob, load_manifest",
        "import rl_platform.cli.main",
        "import rl_platform.cli.validate",
        "import " + ", ".join(["rl_platform.spec", *SPEC]),
    ],
    ids=["package", "spec-names", "command-line", "validate", "whole-spec"],
)
def test_this_import_needs_nothing_heavy(statement: str) -> None:
    assert imported(statement) & HEAVY == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert "numpy" in imported("import rl_platform, numpy") & HEAVY


@pytest.mark.parametrize(
    "statement",
    ["import rl_platform.algorithms", "import rl_platform.workers.rollout_worker, rl_platform.models.actors"],
    ids=["algorithms", "rollout-worker"],
)
def test_who_does_not_learn_needs_no_torch(statement: str) -> None:
    assert "torch" not in imported(statement)
