"""The CustomResourceDefinition of TrainingJob, from the models. ``make crd`` writes it into the chart."""

from __future__ import annotations

import json
from typing import Any

import yaml

from rl_platform.spec.cel_rules import CelRule
from rl_platform.spec.learning_rules import learning_rules
from rl_platform.spec.metadata import Metadata
from rl_platform.spec.mutability import change_rules
from rl_platform.spec.running_rules import running_rules
from rl_platform.spec.structural_schema import Schema, structural_schema
from rl_platform.spec.training_job import API_VERSION, KIND, TrainingJob

GROUP, VERSION = API_VERSION.split("/")
PLURAL, SINGULAR = "trainingjobs", "trainingjob"
NAME = f"{PLURAL}.{GROUP}"

_SUFFIX = 5  # what the API server appends to metadata.generateName
# The one rule between fields that CEL cannot state, because it cannot see free JSON.
_KWARGS_NEED_ENTRYPOINT = [{"required": ["entrypoint"]}, {"properties": {"kwargs": {"maxProperties": 0}}}]
_ONE_FOR_EACH_TYPE = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
_HEADER = "# Made from the models in rl_platform/spec by `make crd`. Change those, not this file.\n"


def custom_resource_definition() -> dict[str, Any]:
    """As an object of apiextensions.k8s.io/v1."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": ["tj"],
                "categories": ["all", "rl"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "subresources": _subresources(),
                    "schema": {"openAPIV3Schema": object_schema()},
                }
            ],
        },
    }


def crd_yaml() -> str:
    """`custom_resource_definition` as the file in the chart has it."""
    document = json.loads(json.dumps(custom_resource_definition()))  # no object twice, hence no YAML anchors
    return _HEADER + str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110))


def object_schema() -> Schema:
    """The structural schema of a whole TrainingJob, rules included."""
    schema = structural_schema(TrainingJob)
    fields = schema["properties"]
    for name in ("apiVersion", "kind"):  # the server looks after them
        fields[name] = {"type": "string", "description": f"Always {fields[name]['default']}."}
    named = structural_schema(Metadata)["properties"]["name"]
    fields["metadata"] = {"type": "object", "properties": {"name": named, "generateName": _prefix_of(named)}}
    fields["status"]["properties"]["conditions"] |= _ONE_FOR_EACH_TYPE
    fields["spec"]["properties"]["model"]["anyOf"] = _KWARGS_NEED_ENTRYPOINT
    fields["spec"]["x-kubernetes-validations"] = [it.schema() for it in [*job_rules(), *change_rules()]]
    schema["required"] = ["spec"]
    return schema


def job_rules() -> list[CelRule]:
    """The rules between fields that a spec must keep, whatever it was before."""
    return [*learning_rules(), *running_rules()]


def _prefix_of(name: Schema) -> Schema:
    """Of metadata.generateName, the one other field of metadata that a schema may say something about."""
    room = name["maxLength"] - _SUFFIX
    meaning = f"Begins the name; {_SUFFIX} characters follow."
    return {"type": "string", "maxLength": room, "description": meaning}


def _subresources() -> dict[str, Any]:
    return {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.rollouts.replicas",
            # Pods that exist, as in a Deployment: an autoscaler takes it for the present size.
            "statusReplicasPath": ".status.rollouts.replicas",
            "labelSelectorPath": ".status.rollouts.selector",
        },
    }


def _columns() -> list[dict[str, Any]]:
    """Of ``kubectl get tj``; those with priority 1 only with ``-o wide``."""
    narrow = [
        ("State", "string", ".status.phase"),
        ("Steps", "integer", ".status.progress.envSteps"),
        ("Return", "number", ".status.progress.episodeReturnMean"),
        ("Checkpoint", "integer", ".status.checkpoint.envSteps"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]
    wide = [
        ("Model", "string", ".status.model.uri"),
        ("Queue", "string", ".spec.scheduling.queue"),
        ("Attempt", "integer", ".status.attempt"),
    ]
    columns = [(*it, 0) for it in narrow] + [(*it, 1) for it in wide]
    return [
        {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
        for name, kind, path, priority in columns
    ]
