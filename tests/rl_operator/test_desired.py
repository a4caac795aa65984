"""Children of a job: what its author can reach through them, and what not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator import names
from rl_operator.desired import children, log_config_map
from rl_operator.pod_overrides import METADATA_FIELDS, POD_FIELDS, Refused, with_overrides
from rl_operator.quantities import whole, whole_bytes
from rl_operator.runtime.resources import RAY_CLUSTERS, SECRETS
from rl_platform.spec.child_names import BEFORE_A_DIGIT
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import POD_UID_ENV, SPEC_DIGEST_ENV
from rl_platform.spec.manifest import parse_manifests
from tests.contracts.source_files import ROOT
from tests.rl_operator.observations import SETTINGS, UID, job

SHAPE: dict[str, Any] = {
    "rollouts": {"replicas": 2, "workersPerPod": 3, "spot": True, "maxReplicas": 5},
    "learner": {"replicas": 1, "gpusPerReplica": 2},
}


def made(**groups: Any) -> dict[str, Any]:
    """Bodies by kind."""
    of = job(**groups)
    assert of.spec is not None, of.fault
    return {it.resource.kind: it.body for it in children(of, of.spec, SETTINGS)}


def templates(cluster: dict[str, Any]) -> dict[str, Any]:
    groups = {names.HEAD: cluster["spec"]["headGroupSpec"]}
    groups |= {it["groupName"]: it for it in cluster["spec"]["workerGroupSpecs"]}
    return {role: group["template"] for role, group in groups.items()}


def test_no_job_runs_beside_the_operators_own_secrets() -> None:
    of = replace(job(), key=(SETTINGS.operator_namespace, "walker"))
    assert of.spec is not None
    with pytest.raises(Refused, match="operator's own"):
        children(of, of.spec, SETTINGS)


def test_a_head_tells_its_driver_which_pod_it_is() -> None:
    env = templates(made()["RayCluster"])[names.HEAD]["spec"]["containers"][0]["env"]
    here = next(it for it in env if it["name"] == POD_UID_ENV)
    assert here["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_every_pod_is_restricted_and_holds_no_identity() -> None:
    shown = templates(made(**SHAPE)["RayCluster"])
    assert set(shown) == {"head", "learner", "rollouts"}
    for template in shown.values():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "serviceAccountName" not in pod
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
        assert kinds <= {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}


def test_only_rollouts_go_to_nodes_that_can_be_taken_away() -> None:
    shown = templates(made(**SHAPE)["RayCluster"])
    spot = {role for role, it in shown.items() if it["spec"]["tolerations"]}
    kept = {role for role, it in shown.items() if it["metadata"]["annotations"]}
    assert (spot, kept) == ({"rollouts"}, {"head", "learner"})


@pytest.mark.parametrize("learners", [0, 2])
def test_a_node_can_always_drain_and_takes_one_of_head_and_learner_at_a_time(learners: int) -> None:
    """``maxUnavailable`` would allow nothing: a RayCluster has no scale subresource."""
    budget = made(learner={"replicas": learners})["PodDisruptionBudget"]["spec"]
    assert budget["minAvailable"] == learners  # of one more
    assert "maxUnavailable" not in budget
    assert budget["selector"]["matchExpressions"][0]["values"] == ["head", "learner"]


def test_the_token_is_in_the_secret_alone() -> None:
    token = SETTINGS.token(UID)
    of = job()
    assert of.spec is not None
    for it in children(of, of.spec, SETTINGS):
        assert token not in json.dumps(it.body), it.resource.kind
    assert made()["Secret"]["data"].keys() == {names.TOKEN_KEY}
    assert SETTINGS.token(UID) != SETTINGS.token(UID[:-1] + "0")


def test_the_cluster_comes_last_and_everything_is_owned() -> None:
    of = job(**SHAPE)
    assert of.spec is not None
    ordered = children(of, of.spec, SETTINGS)
    assert ordered[-1].resource == RAY_CLUSTERS
    assert {it.resource for it in ordered} >= {SECRETS}
    for body in [*(it.body for it in ordered), log_config_map(of, "attempt-1.log", "end")]:
        owner = body["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"]) == (UID, True)


def test_the_file_that_the_driver_reads_is_the_job() -> None:
    of = job(**SHAPE)
    read = parse_manifests(made(**SHAPE)["ConfigMap"]["data"][names.JOB_FILE])[0]
    assert read.spec == of.spec
    assert read.metadata.uid == UID


def test_ray_is_told_its_memory_and_resources_once() -> None:
    """KubeRay refuses ``resources`` of a group beside the same in ``rayStartParams``."""
    cluster = made(**SHAPE)["RayCluster"]["spec"]
    for group in cluster["workerGroupSpecs"]:
        assert not {"num-cpus", "num-gpus", "memory", "resources"} & group["rayStartParams"].keys()
        assert f"rlp_{group['groupName']}" in group["resources"]
    learner, rollouts = cluster["workerGroupSpecs"]
    assert learner["resources"]["GPU"] == "2"
    assert rollouts["resources"]["rlp_rollouts"] == "3"
    assert (rollouts["minReplicas"], rollouts["replicas"], rollouts["maxReplicas"]) == (0, 2, 5)
    assert "rlp_replay" not in rollouts["resources"]
    sharded = made(**SHAPE, replay={"placement": "rollouts", "shards": 4})["RayCluster"]["spec"]
    assert sharded["workerGroupSpecs"][1]["resources"]["rlp_replay"] == "4"
    head = cluster["headGroupSpec"]["rayStartParams"]
    assert int(head["memory"]) + int(head["object-store-memory"]) == whole_bytes("4Gi")


def test_the_gpu_goes_where_the_learning_is() -> None:
    groups = {"learner": {"gpusPerReplica": 1}}
    container = templates(made(**groups)["RayCluster"])["head"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    shown = templates(made(**SHAPE)["RayCluster"])
    asked = {role: it["spec"]["containers"][0]["resources"]["limits"] for role, it in shown.items()}
    assert asked["learner"]["nvidia.com/gpu"] == "2"
    assert "nvidia.com/gpu" not in asked["head"]


def test_a_queue_and_its_priority_go_to_the_cluster() -> None:
    labels = made(scheduling={"queue": "gpus", "priorityClass": "high"})["RayCluster"]["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gpus"
    assert labels["kueue.x-k8s.io/priority-class"] == "high"
    pod = templates(made(scheduling={"priorityClass": "high"})["RayCluster"])["head"]["spec"]
    assert pod["priorityClassName"] == "high"


def overriding(overrides: dict[str, Any]) -> dict[str, Any]:
    return {"driver": {"podOverrides": overrides}}


def mounting(name: str, path: str) -> dict[str, Any]:
    return {"runtime": {"volumes": [{"name": name, "mountPath": path, "secret": "mine"}]}}


@pytest.mark.parametrize(
    ("groups", "field"),
    [
        ({"runtime": {"env": [{"name": "RLP_TOKEN_FILE", "value": "/x"}]}}, "spec.runtime.env[0].name"),
        ({"runtime": {"env": [{"name": "RAY_AUTH_MODE", "value": "disabled"}]}}, "spec.runtime.env[0].name"),
        (mounting("rlp-token", "/data"), "spec.runtime.volumes[0].name"),
        (mounting("data", "/etc/rlp/token"), "spec.runtime.volumes[0].mountPath"),
        (mounting("data", "/etc/rlp/"), "spec.runtime.volumes[0].mountPath"),
        (mounting("data", "/tmp//"), "spec.runtime.volumes[0].mountPath"),
        ({"scheduling": {"priorityClass": "system-node-critical"}}, "spec.scheduling.priorityClass"),
        (overriding({"spec": {"hostNetwork": True}}), "driver.podOverrides.spec.hostNetwork"),
        (overriding({"metadata": {"annotations": {"ray.io/x": "true"}}}), "driver.podOverrides.metadata"),
    ],
)
def test_what_an_author_may_not_have_is_refused_by_name(groups: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        made(**groups)
    assert field in str(refused.value)


MACHINERY = ["rlplatform.io/job", "ray.io/cluster", "x.kubernetes.io/y", "app.kubernetes.io/managed-by"]
POD = {"metadata": {"labels": {"mine": "1"}, "annotations": {}}, "spec": {"restartPolicy": "Never"}}
FIELDS = [
    "serviceAccountName",
    "hostPID",
    "volumes",
    "containers",
    "initContainers",
    "securityContext",
    "nodeName",
]


@given(st.sampled_from(FIELDS) | st.text(min_size=1).filter(lambda it: it not in POD_FIELDS))
def test_every_field_of_a_pod_that_is_not_named_is_refused(field: str) -> None:
    with pytest.raises(Refused):
        with_overrides(POD, {"spec": {field: {}}}, "rollouts")


@given(st.sampled_from(sorted(METADATA_FIELDS)), st.sampled_from(MACHINERY))
def test_labels_of_the_machinery_cannot_be_taken_over(part: str, key: str) -> None:
    with pytest.raises(Refused):
        with_overrides(POD, {"metadata": {part: {key: "other"}}}, "rollouts")


def test_what_is_allowed_is_merged_and_the_template_stays() -> None:
    given_ = {"metadata": {"labels": {"team": "a"}}, "spec": {"runtimeClassName": "nvidia"}}
    merged = with_overrides(POD, given_, "learner")
    assert merged["metadata"]["labels"] == {"mine": "1", "team": "a"}
    assert merged["spec"] == {"restartPolicy": "Never", "runtimeClassName": "nvidia"}
    assert POD["metadata"]["labels"] == {"mine": "1"}


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True), st.uuids())
def test_names_of_children_are_short_valid_and_of_one_job(name: str, uid: Any) -> None:
    child = names.child_name(name, str(uid))
    assert len(child) <= names.CLUSTER_NAME_LENGTH
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", child), "KubeRay makes Services of it"
    assert "--" not in child.removeprefix(BEFORE_A_DIGIT).removeprefix(name)
    assert child.endswith(str(uid)[:8])


@pytest.mark.parametrize(
    ("quantity", "rounded_up"),
    [("500m", 1), ("2", 2), ("1.5", 2), ("8Gi", 8 * 2**30), ("3k", 3000), ("1E", 10**18)],
)
def test_quantities_are_numbers(quantity: str, rounded_up: int) -> None:
    assert whole(quantity) == rounded_up


@pytest.mark.parametrize("file", sorted((ROOT / "helm" / "examples").glob("*.yaml")), ids=lambda it: it.name)
def test_a_driver_can_tell_whether_its_file_is_the_one_that_its_cluster_was_made_for(file: Path) -> None:
    for manifest in parse_manifests(file.read_text(), file.name):
        asked = manifest.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        of = made(**asked)
        (read,) = parse_manifests(of["ConfigMap"]["data"][names.JOB_FILE], names.JOB_FILE)
        head = templates(of["RayCluster"])[names.HEAD]["spec"]["containers"][0]
        told = {it["name"]: it.get("value") for it in head["env"]}
        assert told[SPEC_DIGEST_ENV] == spec_digest(read.spec)
