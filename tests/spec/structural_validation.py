"""What an API server does with an object and a structural schema, without the rules in CEL: enough of it for
what TrainingJob uses, and a KeyError for a keyword it does not know."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_ABOUT = {"description", "default", "format", "nullable"}
_IN_CEL = {"x-kubernetes-validations"}
_MERGING = {"x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"}
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
}


def defaulted(schema: Schema, value: Any) -> Any:
    """A copy without nulls where a schema does not allow them, and with every default."""
    if isinstance(value, list) and "items" in schema:
        return [defaulted(schema["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        inner = _below(schema, key)
        if item is not None or inner is None or inner.get("nullable"):
            found[key] = copy.deepcopy(item) if inner is None else defaulted(inner, item)
    for key, inner in schema.get("properties", {}).items():
        if key not in found and "default" in inner:
            found[key] = defaulted(inner, inner["default"])
    return found


def refusals(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """The paths at which a defaulted value does not fit."""
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value) or not all(
        _fits(schema, keyword, wanted, value) for keyword, wanted in schema.items()
    ):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = _below(schema, key)
            if inner is not None:
                yield from refusals(inner, item, f"{path}.{key}")
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{path}.{key}"
        yield from (f"{path}.{key}" for key in schema.get("required", ()) if key not in value)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from refusals(schema["items"], item, f"{path}[{index}]")


def _below(schema: Schema, key: str) -> Schema | None:
    found: Schema | None = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return found


def _has_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, str) or _is_integer(value)
    if "type" not in schema:
        return bool(schema["x-kubernetes-preserve-unknown-fields"])
    if schema["type"] == "integer":
        return _is_integer(value)
    wanted = _TYPES[schema["type"]]
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))


def _is_integer(value: Any) -> bool:
    """Within 64 bits; larger ones are floats to the server."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _fits(schema: Schema, keyword: str, wanted: Any, value: Any) -> bool:
    """Everything but the type and what is below."""
    if keyword == "minimum" and not isinstance(value, str):
        return bool(value > wanted if schema.get("exclusiveMinimum") else value >= wanted)
    if keyword == "maximum":
        return bool(value < wanted if schema.get("exclusiveMaximum") else value <= wanted)
    if keyword in ("minLength", "minItems", "minProperties"):
        return isinstance(value, int) or len(value) >= wanted
    if keyword in ("maxLength", "maxItems", "maxProperties"):
        return isinstance(value, int) or len(value) <= wanted
    if keyword == "pattern":
        return isinstance(value, int) or re.search(wanted.replace("$", r"\Z"), value) is not None
    if keyword == "enum":
        return value in wanted
    if keyword == "anyOf":
        return any(_fits_alternative(one, value) for one in wanted)
    if keyword not in _ABOUT | _IN_CEL | _MERGING | _STRUCTURE:
        raise KeyError(keyword)
    return True


def _fits_alternative(one: Schema, value: dict[str, Any]) -> bool:
    """Below anyOf nothing but bounds can be said."""
    there = all(key in value for key in one.get("required", ()))
    bounds = [(key, *it) for key, inner in one.get("properties", {}).items() for it in inner.items()]
    return there and all(_fits({}, keyword, it, value[key]) for key, keyword, it in bounds if key in value)


_STRUCTURE = {
    *("type", "properties", "additionalProperties", "items", "required", "minimum"),
    *("exclusiveMinimum", "exclusiveMaximum"),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"),
}
