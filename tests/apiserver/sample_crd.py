"""A small custom resource that uses what schemas can do, and stand-ins for kinds that others define."""

from __future__ import annotations

from typing import Any

from rl_operator.runtime.resources import RAY_CLUSTERS, Resource

Json = dict[str, Any]
SAMPLES = Resource("testing.rlplatform.io", "v1", "samples", "Sample")
IMMUTABLE = "is immutable"
FREE: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

SPEC: Json = {
    "type": "object",
    "required": ["fixed"],
    "properties": {
        "fixed": {
            "type": "string",
            "maxLength": 20,
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": IMMUTABLE}],
        },
        "count": {"type": "integer", "default": 1, "minimum": 0, "maximum": 10},
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
        "title": {"type": "string", "minLength": 2, "maxLength": 8, "pattern": "^[a-z]+$", "nullable": True},
        "parts": {
            "type": "array",
            "maxItems": 3,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 10},
                    "size": {"type": "integer", "default": 1},
                },
            },
        },
        "nested": {
            "type": "object",
            "default": {},
            "properties": {"flag": {"type": "boolean", "default": True}, "depth": {"type": "integer"}},
        },
        "absent": {"type": "object", "properties": {"inner": {"type": "integer", "default": 5}}},
        "free": FREE,
        "words": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string"}},
        "size": {"x-kubernetes-int-or-string": True},
    },
}
STATUS: Json = {
    "type": "object",
    "properties": {"phase": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
}


def definition(resource: Resource, schema: Json) -> Json:
    """A CustomResourceDefinition with the status subresource."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()},
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


SAMPLE_CRD = definition(SAMPLES, {"type": "object", "properties": {"spec": SPEC, "status": STATUS}})
FREE_RAY_CLUSTER_CRD = definition(
    RAY_CLUSTERS, {"type": "object", "properties": {"spec": FREE, "status": FREE}}
)
