"""A pydantic model as a structural schema (OpenAPI 3.0), the form that Kubernetes takes for custom resources.

It is fail-closed: whatever has no counterpart there, or no bound, raises with the path of the field.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, NoDefault
from pydantic_core import core_schema

from rl_platform.spec.fields import SpecModel

Schema = dict[str, Any]
"""One node of a structural schema, as JSON."""

_EVERYWHERE = {"description", "default", "type"}
_RANGE = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "map": {"additionalProperties", "propertyNames", "maxProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"enum", "minLength", "maxLength", "pattern"},
    "integer": _RANGE,
    "number": _RANGE,
    "boolean": set[str](),
    "int-or-string": {"anyOf", "x-kubernetes-int-or-string", "minimum", "maxLength", "pattern"},
}
_FORMATS = {"integer": "int64", "number": "double"}
_BOUNDS = {"map": "maxProperties", "array": "maxItems", "string": "maxLength", "int-or-string": "maxLength"}
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


class NotStructuralError(TypeError):
    """A model has something that a structural schema cannot say."""


def structural_schema(model: type[SpecModel]) -> Schema:
    """The schema of ``model`` with all that it refers to inlined.

    Raises NotStructuralError, with the path of the field, for unions, recursion, unbounded texts, lists and
    maps, and for every keyword that is not known here.
    """
    document = model.model_json_schema(mode="validation", schema_generator=_Generator)
    return _Conversion(document.pop("$defs", {})).convert(document, model.__name__)


class _Generator(GenerateJsonSchema):
    """Optional fields lose their null, which means absent; defaults made by factories are written out."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        if schema.get("default_factory_takes_data"):
            return NoDefault  # it depends on another field: whoever reads the object fills it in
        default = schema["default_factory"]() if "default_factory" in schema else schema.get("default")  # type: ignore[call-arg]
        if isinstance(default, SpecModel):
            assert default == type(default)(), default
            return {}  # the server fills in the rest
        return NoDefault if default is None else default


class _Conversion:
    """From JSON Schema 2020-12, as pydantic writes it."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._open: list[str] = []

    def convert(self, node: Schema, path: str) -> Schema:
        if "$ref" in node:
            return self._referred(node, path)
        node = {key: value for key, value in node.items() if key != "title"}
        if "const" in node:
            node["enum"] = [node.pop("const")]
        kind = _kind(node, path)
        if unknown := node.keys() - _KEYWORDS[kind] - _EVERYWHERE:
            raise NotStructuralError(f"{path}: {kind} with {', '.join(sorted(unknown))}")
        if kind in _BOUNDS and _BOUNDS[kind] not in node and "enum" not in node:
            raise NotStructuralError(f"{path}: {kind} without {_BOUNDS[kind]}")
        if kind == "object":
            return self._object(node, path)
        if kind == "map":
            return self._map(node, path)
        if kind == "array":
            return {
                "x-kubernetes-list-type": "atomic",
                **node,
                "items": self.convert(node["items"], f"{path}[]"),
            }
        node.pop("anyOf", None)  # of an int-or-string, which the server knows how to check without
        return _number(node, kind) if kind in _FORMATS else node

    def _referred(self, node: Schema, path: str) -> Schema:
        name = node["$ref"].removeprefix("#/$defs/")
        if name in self._open:
            raise NotStructuralError(f"{path}: {name} holds itself")
        self._open.append(name)
        target = self._definitions[name]
        texts = [it["description"] for it in (node, target) if "description" in it]
        beside = {key: value for key, value in node.items() if key not in ("$ref", "description")}
        said = {"description": _joined(texts)} if texts else {}
        found = self.convert({**target, **beside, **said}, path)
        self._open.pop()
        return found

    def _object(self, node: Schema, path: str) -> Schema:
        if node.pop("additionalProperties", None) is not False:
            raise NotStructuralError(f"{path}: object that takes unknown fields")
        fields = {key: self.convert(it, f"{path}.{key}") for key, it in node["properties"].items()}
        return {**node, "properties": fields}

    def _map(self, node: Schema, path: str) -> Schema:
        keys, values = node.pop("propertyNames", {}), node["additionalProperties"]
        if "enum" in keys:
            fields = {key: self.convert(values, f"{path}.{key}") for key in keys["enum"]}
            return {key: it for key, it in node.items() if key in _EVERYWHERE} | {"properties": fields}
        if values is True:
            # Not `type: object` with unknown fields preserved: CEL compares the keys of those loosely.
            values = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
            return {**node, "additionalProperties": values, "x-kubernetes-map-type": "atomic"}
        node["additionalProperties"] = self.convert(values, f"{path}.*")
        if keys:
            node["x-kubernetes-validations"] = [_key_rule(keys, path)]
        return node


def _kind(node: Schema, path: str) -> str:
    if node.get("x-kubernetes-int-or-string") and node.get("anyOf") == _INT_OR_STRING:
        return "int-or-string"
    kind = node.get("type")
    if kind == "object" and "properties" not in node:
        return "map"
    if kind not in _KEYWORDS:
        raise NotStructuralError(f"{path}: no single type, but {', '.join(sorted(node))}")
    return str(kind)


def _number(node: Schema, kind: str) -> Schema:
    """OpenAPI 3.0 has the bound as a number and, apart, whether it is excluded."""
    for bound, excluded in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if excluded in node:
            node |= {bound: node.pop(excluded), excluded: True}
    return {**node, "format": _FORMATS[kind]}


def _key_rule(keys: Schema, path: str) -> Schema:
    """Structural schemas have no word for the keys of a map, CEL has."""
    if keys.keys() != {"minLength", "maxLength"}:
        raise NotStructuralError(f"{path}: keys with {', '.join(sorted(keys))}")
    low, high = keys["minLength"], keys["maxLength"]
    return {
        "rule": f"self.all(key, size(key) >= {low} && size(key) <= {high})",
        "message": f"every key has {low} to {high} characters",
    }


def _joined(texts: list[str]) -> str:
    """A field's meaning and that of its model, unless one says what the other does."""
    flat = dict.fromkeys(" ".join(text.split()) for text in texts)
    return " ".join(it for it in flat if not any(it.rstrip(".") in other for other in flat if other != it))
