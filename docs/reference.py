"""docs/trainingjob.md: every field of a TrainingJob, from the models. ``make docs`` writes it.

It reads the schema that the API server is given, so what stands there is what the server does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from rl_platform.spec.crd import object_schema
from rl_platform.spec.mutability import EVERY, MUTABLE

FILE = Path(__file__).parent / "trainingjob.md"
Schema = Mapping[str, Any]

HEAD = """# TrainingJob reference

Made from the models in `rl_platform/spec` by `make docs`. Change those, not this page.

`apiVersion: rlplatform.io/v1alpha1`, `kind: TrainingJob`. A field without a default is absent unless it is
set. `*` marks what may change while the job runs on a cluster; to change anything else, make another job
whose `checkpoint.restoreFrom` names a checkpoint of this one. `rlp run --resume` also takes up a run with
other settings, and says which, but not with another seed, environment, network or `envsPerWorker`.
`kubectl explain trainingjob.spec.rollouts` shows the same; `rlp schema` prints a schema for editors.
"""
COLUMNS = "| field | type | default | bounds | what it is for |\n|---|---|---|---|---|\n"


def reference() -> str:
    """The whole page."""
    root = object_schema()["properties"]
    sections = [*_sections("spec", root["spec"]), *_sections("status", root["status"])]
    return HEAD + "".join(f"\n## {path}\n\n{text}" for path, text in sections)


def _sections(path: str, schema: Schema) -> Iterator[tuple[str, str]]:
    """A section for each map that has fields of its own, outer ones first."""
    required = schema.get("required", ())
    rows = "".join(_row(path, name, field, name in required) for name, field in schema["properties"].items())
    yield path, f"{_text(schema)}\n\n{COLUMNS}{rows}"
    for name, field in schema["properties"].items():
        inner, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in inner:
            yield from _sections(f"{path}.{name}{suffix}", inner)


def _row(path: str, name: str, field: Schema, required: bool) -> str:
    must = ", required" if required else ""
    star = " *" if _may_change(path, name) else ""
    default = f"`{_written(field['default'])}`" if "default" in field else ""
    bounds = ", ".join(_bounds(field))
    return f"| `{name}`{star} | {_type(field)}{must} | {default} | {bounds} | {_text(field)} |\n"


def _text(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("``", "`").replace("|", "\\|")


def _may_change(path: str, name: str) -> bool:
    section, _, rest = path.removeprefix("spec").removeprefix(".").partition(".")
    if not path.startswith("spec"):
        return False
    allowed = MUTABLE.get(section or name, frozenset())
    return allowed == EVERY or (not rest and bool(section) and name in allowed)


def _type(field: Schema) -> str:
    if "enum" in field:
        return " or ".join(f"`{it}`" for it in field["enum"])
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if "properties" in field:
        return "map"
    if "additionalProperties" in field:
        inner = field["additionalProperties"]
        return "free map" if "x-kubernetes-preserve-unknown-fields" in inner else f"map of {_type(inner)}"
    return str(field.get("type", "anything"))


def _bounds(field: Schema) -> Iterator[str]:
    if "x-kubernetes-int-or-string" in field:
        return
    if "minimum" in field:
        yield f"{'>' if field.get('exclusiveMinimum') else '≥'} {field['minimum']:,}"
    if "maximum" in field:
        yield f"{'<' if field.get('exclusiveMaximum') else '≤'} {field['maximum']:,}"
    for least, most, what in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "keys"),
    ):
        low, high = field.get(least), field.get(most)
        if high is not None:
            yield f"{low} to {high:,} {what}" if low else f"≤ {high:,} {what}"


def _written(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return str(text).removesuffix("...\n").strip().replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(reference())
