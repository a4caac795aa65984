"""values.schema.json: what Helm refuses before anything is rendered.

Draft 7 without references, which every Helm 3 and 4 understands.
"""

from __future__ import annotations

import json
from typing import Any

from helm.authoring.values import Values

DRAFT = "http://json-schema.org/draft-07/schema#"


def values_schema() -> dict[str, Any]:
    """Every map but free-form Kubernetes objects refuses names that it does not know."""
    schema = Values.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    return {"$schema": DRAFT, **_inlined(schema, definitions)}


def values_schema_json() -> str:
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**target, **beside}, definitions)
    kept = {key: value for key, value in node.items() if key != "title" or isinstance(value, dict)}
    return {key: _inlined(value, definitions) for key, value in kept.items()}
