"""What the author of a job can reach with every field that names something: tried one by one.

Pods that the operator makes are tried on a real API server, in a namespace that enforces "restricted".
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from rl_operator.decision import Create
from rl_operator.desired import children
from rl_operator.driver_contact import DriverOrder
from rl_operator.runtime.resources import RAY_CLUSTERS
from rl_platform.spec.training_job import TrainingJobSpec
from tests.apiserver.control_plane import ControlPlane
from tests.rl_operator.observations import SETTINGS, SPEC, job

GREEDY: dict[str, Any] = {
    "rollouts": {
        "replicas": 2,
        "spot": True,
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"pool": "gpu"},
    },
    "learner": {
        "replicas": 1,
        "gpusPerReplica": 1,
        "podOverrides": {"spec": {"runtimeClassName": "nvidia", "schedulerName": "other"}},
    },
    "runtime": {
        "env": [
            {"name": "KEYS", "secret": {"name": "keys", "key": "token"}},
            {"name": "LD_PRELOAD", "value": "/data/mine.so"},
        ],
        "volumes": [
            {"name": "data", "mountPath": "/data", "claim": "data"},
            {"name": "more", "mountPath": "/more", "secret": "keys"},
            {"name": "kept", "mountPath": "/kept", "configMap": "kept"},
        ],
        "workingDir": "/data",
        "imagePullSecrets": ["registry"],
    },
    "environment": {"entrypoint": "mine:make"},
    "checkpoint": {"uri": "file:///var/run/secrets/kubernetes.io/serviceaccount"},
}
"""Everything that a field allows, at once."""

ELSEWHERE: list[dict[str, Any]] = [
    {"runtime": {"serviceAccountName": "rl-system/operator"}},
    {"runtime": {"env": [{"name": "A", "secret": {"name": "rl-system/key", "key": "key"}}]}},
    {"runtime": {"env": [{"name": "A", "secret": {"name": "key", "key": "key", "namespace": "rl-system"}}]}},
    {"runtime": {"volumes": [{"name": "a", "mountPath": "/a", "secret": "../key"}]}},
    {"runtime": {"volumes": [{"name": "a", "mountPath": "/a", "hostPath": "/"}]}},
    {"runtime": {"volumes": [{"name": "a", "mountPath": "/a", "claim": "rl-system/data"}]}},
    {"runtime": {"imagePullSecrets": ["rl-system/registry"]}},
    {"environment": {"entrypoint": "os:system; curl evil"}},
    {"environment": {"entrypoint": "mine:make && true"}},
    {"algorithm": {"custom": {"entrypoint": "$(cat /etc/rlp/token)"}}},
]
"""Ways to another namespace, the node or a shell: no schema has a place for them."""


def made(**groups: Any) -> tuple[Create, ...]:
    of = job(**groups)
    assert of.spec is not None, of.fault
    return children(of, of.spec, SETTINGS)


@pytest.mark.parametrize("groups", ELSEWHERE, ids=json.dumps)
def test_no_field_reaches_elsewhere(groups: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingJobSpec.model_validate(SPEC | groups)


def test_whatever_is_asked_for_lies_in_the_namespace_of_the_job() -> None:
    every = made(**GREEDY)
    assert {it.namespace for it in every} == {"team"}
    assert {it.body["metadata"]["namespace"] for it in every} == {"team"}
    text = json.dumps([it.body for it in every])
    assert "hostPath" not in text
    assert "projected" not in text  # nor a token of the API server's by another way


def test_what_ray_is_told_to_run_follows_from_no_field() -> None:
    order = DriverOrder.__dataclass_fields__["entrypoint"].default
    assert order == "exec python -m rl_platform.driver"


def test_a_namespace_that_enforces_restricted_takes_every_pod_of_a_greedy_job(
    api_server: ControlPlane,
) -> None:
    namespace = f"restricted-{uuid4().hex[:8]}"
    api_server.create_namespace(namespace, {"pod-security.kubernetes.io/enforce": "restricted"})
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    (cluster,) = (it.body for it in made(**GREEDY) if it.resource == RAY_CLUSTERS)
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    assert len(groups) == 3
    for number, group in enumerate(groups):
        template = group["template"]
        spec = {key: it for key, it in template["spec"].items() if key != "runtimeClassName"}  # no such class
        pod = {"metadata": {**template["metadata"], "name": f"pod-{number}"}, "spec": spec}
        status, answer = api_server.request("POST", path, pod)
        assert status == 201, answer
