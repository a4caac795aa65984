"""Pods and the operator are lost at the worst moments: the job goes on from its last checkpoint."""

from __future__ import annotations

import random
import time

import pytest

from rl_operator.runtime.resources import PODS, TRAINING_JOBS
from tests.cluster.live_cluster import LiveCluster, condition, phase, steps
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import BATCH, ENDLESS, ROLLOUTS, slow_job

STEPS = 40 * BATCH


def test_a_head_that_is_deleted_is_replaced_and_the_next_attempt_goes_on(
    cluster: LiveCluster, operator: OperatorProcess, claim: str
) -> None:
    cluster.create(TRAINING_JOBS, slow_job("head", cluster.image, claim=True, stop=ENDLESS))
    status = cluster.wait("head", lambda status: status.get("checkpoint", {}).get("envSteps", 0) > 2 * BATCH)
    (pod,) = cluster.pods("head")
    cluster.api.delete(PODS, cluster.namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
    before = status["checkpoint"]["envSteps"]
    status = cluster.wait("head", lambda status: status["attempt"] == 2 and phase("Training")(status))
    assert status["failures"]["application"] == 0
    status = cluster.wait("head", lambda status: status["checkpoint"]["uri"].split("/")[-2] == "2")
    assert status["checkpoint"]["envSteps"] > before


def test_an_evicted_head_saves_a_checkpoint_first(
    cluster: LiveCluster, operator: OperatorProcess, claim: str
) -> None:
    """No checkpoint is due before it: the one that is there afterwards is the eviction's."""
    spec = {"checkpoint": {"uri": "/checkpoints/evicted", "everySeconds": 86400}, "stop": ENDLESS}
    cluster.create(TRAINING_JOBS, slow_job("evicted", cluster.image, claim=True, **spec))
    status = cluster.wait("evicted", lambda status: steps(status) > 2 * BATCH)
    assert "checkpoint" not in status
    (pod,) = cluster.pods("evicted")
    cluster.evict(pod["metadata"]["name"])
    status = cluster.wait("evicted", lambda status: status["attempt"] == 2 and phase("Training")(status))
    assert status["checkpoint"]["envSteps"] > 2 * BATCH
    assert status["failures"] == {"application": 0, "infrastructure": 0}
    saved = status["checkpoint"]["envSteps"]
    cluster.wait("evicted", lambda status: steps(status) > saved)


def test_a_worker_that_is_deleted_is_replaced_without_a_new_attempt(
    cluster: LiveCluster, operator: OperatorProcess
) -> None:
    cluster.create(TRAINING_JOBS, slow_job("worker", cluster.image, stop=ENDLESS, rollouts=ROLLOUTS))
    cluster.wait("worker", lambda status: status.get("rollouts", {}).get("ready") == 1)
    (pod,) = cluster.pods("worker", "rollouts")
    cluster.api.delete(PODS, cluster.namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
    cluster.wait("worker", lambda status: status["rollouts"]["ready"] == 0)
    status = cluster.wait("worker", lambda status: status["rollouts"]["ready"] == 1)
    assert status["attempt"] == 1


def test_replicas_follow_the_job_while_it_runs(cluster: LiveCluster, operator: OperatorProcess) -> None:
    cluster.create(TRAINING_JOBS, slow_job("sized", cluster.image, stop=ENDLESS, rollouts=ROLLOUTS))
    cluster.wait("sized", lambda status: status.get("rollouts", {}).get("ready") == 1)
    for replicas in (2, 1):
        cluster.api.merge_patch(
            TRAINING_JOBS, cluster.namespace, "sized", {"spec": {"replicas": replicas}}, subresource="scale"
        )
        cluster.wait("sized", lambda status, want=replicas: status["rollouts"]["ready"] == want)
        assert len(cluster.pods("sized", "rollouts")) == replicas
    assert cluster.status("sized")["attempt"] == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_an_operator_that_is_killed_again_and_again_loses_nothing(
    cluster: LiveCluster, operator: OperatorProcess, claim: str, seed: int
) -> None:
    chance = random.Random(seed)
    cluster.create(TRAINING_JOBS, slow_job("sturdy", cluster.image, claim=True, stop={"envSteps": STEPS}))
    attempts: list[int] = []
    until = time.monotonic() + 900
    while not phase("Succeeded", "Failed")(status := cluster.status("sturdy")):
        assert time.monotonic() < until, status
        time.sleep(chance.uniform(0.5, 6.0))
        operator.restart_after(chance.uniform(0.0, 2.0))
        attempts.append(status.get("attempt", 0))
    assert status["phase"] == "Succeeded"
    assert steps(status) == STEPS
    assert attempts == sorted(attempts)
    assert (status["attempt"], status["failures"]) == (1, {"application": 0, "infrastructure": 0})
    assert condition(status, "Succeeded")["status"] == "True"
