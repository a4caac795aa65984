"""Structural schemas as the API server applies them: prune, default, validate; nothing is changed in place.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from tests.simulation.answers import Cause

Schema = dict[str, Any]
KEPT = 512
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


class Section:
    """A property of a kind at its top. What follows for a value is kept: from run to run few are new."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._shaped = lru_cache(KEPT)(lambda text: fill(schema, prune(schema, from_json(text))))
        self._faults = lru_cache(KEPT)(lambda text, path: tuple(faults(schema, from_json(text), path)))

    def shaped(self, value: Any) -> Any:
        """Pruned and with defaults; nobody may change it."""
        return self._shaped(to_json(value))

    def faults(self, value: Any, path: str) -> tuple[Cause, ...]:
        return self._faults(to_json(value), path)


def prune(schema: Schema, value: Any) -> Any:
    """Without the fields that the schema does not name."""
    if isinstance(value, dict):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
        keep = schema.get("x-kubernetes-preserve-unknown-fields", False)
        pruned = {}
        for key, each in value.items():
            if key in properties:
                pruned[key] = prune(properties[key], each)
            elif isinstance(extra, dict):
                pruned[key] = prune(extra, each)
            elif keep or extra is True:
                pruned[key] = each
        return pruned
    if isinstance(value, list) and "items" in schema:
        return [prune(schema["items"], each) for each in value]
    return value


def unknown_fields(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """What `prune` would take away, by path."""
    if isinstance(value, dict):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
        keep = schema.get("x-kubernetes-preserve-unknown-fields", False)
        for key, each in value.items():
            below = f"{path}.{key}" if path else key
            if key in properties:
                yield from unknown_fields(properties[key], each, below)
            elif isinstance(extra, dict):
                yield from unknown_fields(extra, each, below)
            elif not keep and extra is not True:
                yield below
    elif isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            yield from unknown_fields(schema["items"], each, f"{path}[{index}]")


def fill(schema: Schema, value: Any) -> Any:
    """With defaults. A null where none is allowed counts as absent."""
    if isinstance(value, dict):
        filled = dict(value)
        for key, below in schema.get("properties", {}).items():
            if filled.get(key, 0) is None and not below.get("nullable"):
                del filled[key]
            if key not in filled and "default" in below:
                filled[key] = below["default"]
            if key in filled:
                filled[key] = fill(below, filled[key])
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for key in filled.keys() - schema.get("properties", {}).keys():
                filled[key] = fill(extra, filled[key])
        return filled
    if isinstance(value, list) and "items" in schema:
        return [fill(schema["items"], each) for each in value]
    return value


def faults(schema: Schema, value: Any, path: str = "") -> Iterator[Cause]:
    """What of the value breaks the schema; rules in CEL are left out."""
    if value is None and schema.get("nullable"):
        return
    if "enum" in schema and value not in schema["enum"]:
        yield Cause("FieldValueNotSupported", path, f"supported values: {schema['enum']}")
    if not _of_type(schema, value):
        yield Cause("FieldValueTypeInvalid", path or "<nil>", f"must be of type {schema.get('type')}")
        return
    yield from _value_faults(schema, value, path)
    if isinstance(value, dict):
        yield from _member_faults(schema, value, path)
    elif isinstance(value, list):
        yield from _item_faults(schema, value, path)


def _of_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted is None:
        return True
    if isinstance(value, bool):
        return bool(wanted == "boolean")
    if wanted == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[wanted])


def _value_faults(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", len(value)):
            yield Cause("FieldValueTooLong", path, f"may not be more than {schema['maxLength']} bytes")
        if len(value) < schema.get("minLength", 0):
            yield Cause("FieldValueInvalid", path, f"should be at least {schema['minLength']} chars long")
        if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
            yield Cause("FieldValueInvalid", path, f"should match '{schema['pattern']}'")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if value < low or (value == low and schema.get("exclusiveMinimum")):
            yield Cause("FieldValueInvalid", path, f"should be greater than or equal to {low}")
        if value > high or (value == high and schema.get("exclusiveMaximum")):
            yield Cause("FieldValueInvalid", path, f"should be less than or equal to {high}")


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _member_faults(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Cause]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield Cause("FieldValueRequired", f"{path}.{name}" if path else name, "Required value")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Cause("FieldValueTooMany", path, f"must have at most {schema['maxProperties']} items")
    extra = schema.get("additionalProperties")
    for key, each in value.items():
        below = properties.get(key, extra)
        if isinstance(below, dict):
            yield from faults(below, each, f"{path}.{key}" if path else key)


def _item_faults(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxItems", len(value)):
        yield Cause("FieldValueTooMany", path, f"must have at most {schema['maxItems']} items")
    if len(value) < schema.get("minItems", 0):
        yield Cause("FieldValueInvalid", path, f"should have at least {schema['minItems']} items")
    keys = schema.get("x-kubernetes-list-map-keys", ())
    if schema.get("x-kubernetes-list-type") == "map":
        seen: list[tuple[Any, ...]] = []
        for index, each in enumerate(value):
            identity = tuple(each.get(key) for key in keys)
            if identity in seen:
                yield Cause("FieldValueDuplicate", f"{path}[{index}]", "Duplicate value")
            seen.append(identity)
    for index, each in enumerate(value):
        if "items" in schema:
            yield from faults(schema["items"], each, f"{path}[{index}]")
