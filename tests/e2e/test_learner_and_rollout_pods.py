"""Learner and rollout workers in pods of their own: the same way to the registry, and workers come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_operator.runtime.resources import RAY_CLUSTERS, TRAINING_JOBS
from rl_platform.spec.driver_protocol import Progress
from tests.cluster.live_cluster import Json, LiveCluster, condition, phase, steps
from tests.cluster.slow_jobs import BATCH, CLAIM
from tests.cluster.volume_claims import volume_claim
from tests.e2e.counted_jobs import SMALL, counted, counted_job
from tests.e2e.driver_progress import driver_progress
from tests.e2e.example_jobs import example, on_claim
from tests.e2e.kubectl import kubectl
from tests.e2e.port_forward import forwarded
from tests.e2e.release import MLFLOW, Release
from tests.e2e.served_model import play

SECONDS_TO_TRAIN = 900.0
LEARNER = {"resources": {"cpu": "100m", "memory": "2Gi"}}
IMPALA = {"impala": {"fragmentLength": 16, "batchSize": BATCH}}


@pytest.mark.parametrize("name", ["cartpole-ppo-distributed", "cartpole-impala-spot"])
def test_it_trains_in_pods_of_its_own_and_is_served(
    release: Release, jobs: LiveCluster, name: str, tmp_path: Path
) -> None:
    groups: dict[str, Any] = {"learner": LEARNER, "rollouts": {"resources": SMALL}}
    with volume_claim(jobs, CLAIM):
        jobs.create(TRAINING_JOBS, example(name, release.mlflow, **groups, **on_claim(name)))
        jobs.wait(name, lambda status: steps(status) > 0, SECONDS_TO_TRAIN)
        assert len(jobs.pods(name, "learner")) == 1
        assert len(jobs.pods(name, "rollouts")) == 2
        status = jobs.wait(name, phase("Succeeded", "Failed"), SECONDS_TO_TRAIN)
        jobs.wait_for("pods are gone", lambda: not jobs.holds(name))
    assert condition(status, "Succeeded")["status"] == "True", status
    assert (status["attempt"], status["failures"]) == (1, {"application": 0, "infrastructure": 0})
    assert condition(status, "ModelRegistered")["status"] == "True", status
    with forwarded(release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        assert play(server, name, tmp_path) >= 475


def test_workers_join_and_leave_by_kubectl_scale_and_nothing_is_lost(jobs: LiveCluster) -> None:
    """Two, four, one: the pods that go are those that the driver has drained."""
    with volume_claim(jobs, CLAIM):
        jobs.create(TRAINING_JOBS, counted_job(jobs, "sized", algorithm=IMPALA))
        jobs.wait("sized", lambda status: steps(status) > 0, SECONDS_TO_TRAIN)
        scale(jobs, "sized", 4)
        jobs.wait("sized", lambda status: status["rollouts"]["ready"] == 4, SECONDS_TO_TRAIN)
        four = names(jobs, "sized")
        jobs.wait_for("all four sample", lambda: four <= sampling(jobs), SECONDS_TO_TRAIN)
        scale(jobs, "sized", 1)
        jobs.wait("sized", lambda status: status["rollouts"]["replicas"] == 1, SECONDS_TO_TRAIN)
        (stays,) = names(jobs, "sized")
        assert four - {stays} == set(to_delete(jobs, "sized"))

        before = jobs.status("sized")
        jobs.wait("sized", lambda status: steps(status) > steps(before) + 4 * BATCH, SECONDS_TO_TRAIN)
        said = driver_progress(jobs, "sized")
        assert said is not None
        assert_nothing_is_lost(said)
        assert said.rollout_pods == (stays,)
        jobs.change("sized", {"stop": {"envSteps": said.env_steps + 4 * BATCH}})
        done = jobs.wait("sized", phase("Succeeded", "Failed"), SECONDS_TO_TRAIN)
        assert (done["phase"], done["attempt"]) == ("Succeeded", 1), done
        taken = sum(it["steps"] for it in counted(jobs) if it["kind"] == "environment")
    # The last steps of each environment are not written down, and some were on their way at the end.
    assert 0.9 * steps(done) <= taken <= steps(done) * 1.1 + 4 * BATCH


def assert_nothing_is_lost(said: Progress) -> None:
    """Every step that a worker took was learned from, or is on its way."""
    assert (said.workers_lost, said.dropped) == (0, {})
    assert sum(said.agent_steps.values()) == said.env_steps


def scale(jobs: LiveCluster, name: str, replicas: int) -> None:
    kubectl("scale", "--namespace", jobs.namespace, "trainingjob", name, f"--replicas={replicas}")


def names(jobs: LiveCluster, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in jobs.pods(name, "rollouts")}


def sampling(jobs: LiveCluster) -> set[str]:
    """Pods whose environments have taken a step."""
    return {it["process"].partition("/")[0] for it in counted(jobs) if it["kind"] == "environment"}


def to_delete(jobs: LiveCluster, name: str) -> list[str]:
    """As the operator has told KubeRay."""
    clusters: list[Json] = jobs.api.list(
        RAY_CLUSTERS, jobs.namespace, label_selector=f"rlplatform.io/job={name}"
    ).items
    (group,) = [it for it in clusters[0]["spec"]["workerGroupSpecs"] if it["groupName"] == "rollouts"]
    return list(group["scaleStrategy"]["workersToDelete"])
