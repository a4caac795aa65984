"""The emitted CustomResourceDefinition: structural, bounded, small, and the file in the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field

from rl_platform.spec.crd import crd_yaml, custom_resource_definition, object_schema
from rl_platform.spec.fields import ListOf, SpecModel
from rl_platform.spec.free_json import JsonMap
from rl_platform.spec.structural_schema import NotStructuralError, structural_schema

FILE = Path(__file__).parents[2] / "helm" / "rl-platform" / "files" / "trainingjobs.rlplatform.io.yaml"
VERSION = custom_resource_definition()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
Node = dict[str, Any]

NEVER = {
    *(
        "$ref",
        "$defs",
        "definitions",
        "patternProperties",
        "propertyNames",
        "discriminator",
        "const",
        "title",
    ),
    *("readOnly", "writeOnly", "xml", "deprecated", "id", "uniqueItems", "examples", "prefixItems", "oneOf"),
}
"""Keywords that the API server refuses, or that are JSON Schema and not OpenAPI 3.0 (KEP-2335)."""


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in node:
            yield from nodes(node[name], f"{path}[]")


NODES = dict(nodes(SCHEMA))


def test_the_file_in_the_chart_is_what_the_models_give() -> None:
    assert FILE.read_text() == crd_yaml(), "run: make crd"
    assert yaml.safe_load(FILE.read_text()) == json.loads(json.dumps(custom_resource_definition()))


def test_it_fits_into_the_annotation_of_kubectl_apply() -> None:
    assert len(json.dumps(custom_resource_definition(), separators=(",", ":"))) < 200 * 1024


@pytest.mark.parametrize(("path", "node"), NODES.items(), ids=NODES.keys())
def test_every_node_is_structural(path: str, node: Node) -> None:
    assert not node.keys() & NEVER
    free = node.get("x-kubernetes-preserve-unknown-fields")
    assert (node.get("type") in ("object", "array", "string", "integer", "number", "boolean")) != bool(
        free or node.get("x-kubernetes-int-or-string")
    )
    assert not ("properties" in node and "additionalProperties" in node)
    assert not isinstance(node.get("additionalProperties"), bool)
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        assert isinstance(node.get(bound, True), bool)
    assert node.get("default", ...) is not None
    assert ("nullable" in node) == bool(free), "null means absent, but in free JSON"
    assert (node.get("x-kubernetes-list-type") in ("atomic", "map", "set")) == (node.get("type") == "array")


@pytest.mark.parametrize(("path", "node"), NODES.items(), ids=NODES.keys())
def test_every_node_is_bounded_and_explained(path: str, node: Node) -> None:
    kind = node.get("type")
    if path.startswith((".spec", ".status")):
        if kind == "string":
            assert "maxLength" in node or "enum" in node
        if kind == "array":
            assert "maxItems" in node
        if kind == "object" and "properties" not in node:
            assert "maxProperties" in node
    assert path.endswith("[]") or path in ("", ".metadata") or node.get("description")


def test_conditions_are_merged_by_type() -> None:
    conditions = NODES[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert "type" in conditions["items"]["required"]


def test_metadata_is_left_to_the_server_but_for_names() -> None:
    metadata = NODES[".metadata"]
    assert metadata.keys() == {"type", "properties"}
    assert metadata["properties"].keys() == {"name", "generateName"}


def test_defaults_stop_at_what_must_be_chosen() -> None:
    assert "default" not in NODES[".spec.algorithm.ppo"]
    assert NODES[".spec.algorithm.ppo.learningRate"]["default"] == 3e-4
    assert NODES[".spec.algorithm.dqn.exploration"]["default"] == {}
    assert NODES[".spec.rollouts"]["default"] == NODES[".spec.rollouts.resources"]["default"] == {}
    assert NODES[".spec"]["required"] == ["environment", "algorithm", "stop"]
    assert SCHEMA["required"] == ["spec"]


def test_columns_scale_and_rules_name_fields_that_exist() -> None:
    columns = {it["name"]: it for it in VERSION["additionalPrinterColumns"]}
    assert list(columns) == [
        *("State", "Steps", "Return", "Checkpoint", "Age"),
        *("Model", "Queue", "Attempt"),
    ]
    for name, column in columns.items():
        if name != "Age":
            assert NODES[column["jsonPath"]]["type"] == column["type"]
        assert column.get("priority", 0) == (1 if name in ("Model", "Queue", "Attempt") else 0)
    scale = VERSION["subresources"]["scale"]
    kinds = [NODES[path]["type"] for path in scale.values()]
    assert kinds == ["integer", "integer", "string"]
    for rule in SCHEMA["properties"]["spec"]["x-kubernetes-validations"]:
        assert f".spec{rule['fieldPath']}" in NODES
        assert ("message" in rule) != ("messageExpression" in rule)


def test_a_field_is_explained_by_its_own_words_and_those_of_its_model() -> None:
    assert NODES[".spec.algorithm.ppo.clipRange"]["description"] == (
        "How far the probability ratio may move; may be scheduled."
    )
    assert "arXiv 1707.06347" in NODES[".spec.algorithm.ppo"]["description"]
    assert NODES[".spec.stop"]["description"] == (
        "When the run is over. The run ends when one of these holds after the learner has learned: for ppo "
        "and ddppo that is after batchSize env steps; the others look at episodeReturn and plateau only each "
        "1,024 env steps. wallSeconds is looked at each second, or with the next fragment."
    )
    assert not [path for path, node in NODES.items() if re.search(r"\n|  ", node.get("description", ""))]


class Leaf(SpecModel):
    name: Annotated[str, Field(max_length=5)] = Field(default="a", description="A name.")


class Recursive(SpecModel):
    below: Recursive | None = Field(default=None, description="Itself.")


def with_field(kind: Any) -> type[SpecModel]:
    return type("Probe", (SpecModel,), {"__annotations__": {"probe": kind}, "__module__": __name__})


REFUSED: dict[str, Any] = {
    "a union of types": int | str,
    "a union of models": Leaf | Annotated[dict[str, int], Field(max_length=5)],
    "a text without bound": str,
    "a list without bound": ListOf[int],
    "a map without bound": dict[str, int],
    "a tuple": Annotated[tuple[int, str], Field(max_length=2)],
    "a set": Annotated[set[int], Field(max_length=2)],
    "a keyword that is not known": Annotated[int, Field(multiple_of=5)],
    "an unbounded text in a list": Annotated[ListOf[str], Field(max_length=2)],
    "a pattern of keys": Annotated[dict[Annotated[str, Field(pattern="^a$")], Leaf], Field(max_length=2)],
    "anything": Any,
}


@pytest.mark.parametrize("kind", REFUSED.values(), ids=REFUSED.keys())
def test_what_a_structural_schema_cannot_say_is_refused_with_its_path(kind: Any) -> None:
    with pytest.raises(NotStructuralError, match=r"^Probe\.probe"):
        structural_schema(with_field(kind))


def test_a_model_that_holds_itself_is_refused() -> None:
    with pytest.raises(NotStructuralError, match="holds itself"):
        structural_schema(Recursive)


LEAF = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5, "default": "a", "description": "A name."},
    },
}
ACCEPTED: dict[str, tuple[Any, Node]] = {
    "bounds": (
        Annotated[float, Field(gt=0, lt=5)],
        {"type": "number", "format": "double", "minimum": 0, "exclusiveMinimum": True, "maximum": 5,
         "exclusiveMaximum": True},
    ),
    "one word": (Literal["a"], {"type": "string", "enum": ["a"]}),
    "optional": (
        Annotated[int, Field(ge=1)] | None,
        {"type": "integer", "format": "int64", "minimum": 1},
    ),
    "free JSON": (
        JsonMap,
        {"type": "object", "maxProperties": 1000, "x-kubernetes-map-type": "atomic",
         "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}},
    ),
    "named entries": (
        Annotated[dict[Literal["a", "b"], Leaf], Field(max_length=2)],
        {"type": "object", "properties": {"a": LEAF, "b": LEAF}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "schema"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_types_become_schemas(kind: Any, schema: Node) -> None:
    assert structural_schema(with_field(kind))["properties"]["probe"] == schema


def test_an_object_schema_is_made_anew_each_time() -> None:
    object_schema()["properties"].clear()
    assert object_schema()["properties"].keys() >= {"spec", "status"}


def test_a_schedule_ends_within_the_bounds_of_its_field() -> None:
    spec = object_schema()["properties"]["spec"]["properties"]
    for field, schedule in spec["schedules"]["properties"].items():
        owners = [
            it["properties"] for it in spec["algorithm"]["properties"].values() if field in it["properties"]
        ]
        assert owners
        assert {it[field]["maximum"] for it in owners} == {schedule["properties"]["final"]["maximum"]}, field
