"""A job's life on a real cluster, from pending to the end, by the operator as a process outside of it."""

from __future__ import annotations

import pytest

from rl_operator.runtime.resources import CONFIG_MAPS, RAY_CLUSTERS, TRAINING_JOBS
from tests.cluster.live_cluster import LiveCluster, condition, phase, steps
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import BATCH, ENDLESS, slow_job


def test_from_pending_to_succeeded_with_nothing_left_but_the_log(
    cluster: LiveCluster, operator: OperatorProcess
) -> None:
    cluster.create(TRAINING_JOBS, slow_job("whole", cluster.image))
    cluster.wait("whole", phase("Provisioning"))
    cluster.wait("whole", phase("Training"))
    status = cluster.wait("whole", phase("Succeeded", "Failed"))
    assert condition(status, "Succeeded")["status"] == "True"
    assert condition(status, "Succeeded")["reason"] == "EnvStepsReached"
    assert (status["attempt"], steps(status)) == (1, 4 * BATCH)
    assert status["checkpoint"]["envSteps"] == 4 * BATCH
    cluster.wait_for("the cluster is gone", lambda: not cluster.holds("whole"))
    (kept,) = [name for name in cluster.children("whole")["ConfigMap"] if name.endswith("-logs")]
    found = cluster.api.get(CONFIG_MAPS, cluster.namespace, kept)
    assert found is not None
    assert "Succeeded: EnvStepsReached" in found["data"]["attempt-1.log"]


def test_a_failure_is_retried_on_the_same_cluster(cluster: LiveCluster, operator: OperatorProcess) -> None:
    kwargs = {"seconds": 0.002, "breaks_at": 2 * BATCH // 8 + 3}
    broken = {"entrypoint": "slow:Slow", "kwargs": kwargs}
    cluster.create(TRAINING_JOBS, slow_job("once", cluster.image, environment=broken))
    cluster.wait("once", lambda status: status.get("failures", {}).get("application") == 1)
    (head,) = cluster.pods("once")
    status = cluster.wait("once", phase("Retrying", "Training"))
    assert "this environment breaks once" in status["traceback"]
    cluster.wait("once", lambda status: status.get("attempt") == 2 and phase("Training")(status))
    assert [pod["metadata"]["uid"] for pod in cluster.pods("once")] == [head["metadata"]["uid"]]
    status = cluster.wait("once", phase("Succeeded", "Failed"))
    assert status["phase"] == "Succeeded"
    assert status["failures"] == {"application": 1, "infrastructure": 0}


def test_a_wrong_configuration_is_not_retried(cluster: LiveCluster, operator: OperatorProcess) -> None:
    wrong = {"entrypoint": "slow:Nothing"}
    cluster.create(TRAINING_JOBS, slow_job("wrong", cluster.image, environment=wrong))
    status = cluster.wait("wrong", phase("Failed", "Succeeded"))
    assert condition(status, "Succeeded")["status"] == "False"
    assert condition(status, "Succeeded")["reason"] == "BadConfiguration"
    assert "Nothing" in condition(status, "Succeeded")["message"]
    assert status["attempt"] == 1
    cluster.wait_for("the cluster is gone", lambda: not cluster.holds("wrong"))


def test_suspended_it_frees_the_cluster_and_goes_on_at_its_checkpoint(
    cluster: LiveCluster, operator: OperatorProcess, claim: str
) -> None:
    cluster.create(TRAINING_JOBS, slow_job("pause", cluster.image, claim=True, stop=ENDLESS))
    cluster.wait("pause", lambda status: steps(status) > 2 * BATCH)
    cluster.change("pause", {"runPolicy": {"suspend": True}})
    status = cluster.wait("pause", phase("Suspended"))
    saved = status["checkpoint"]["envSteps"]
    assert saved >= 2 * BATCH
    assert condition(status, "Suspended")["status"] == "True"
    cluster.wait_for("no pod is left", lambda: not cluster.pods("pause"))
    assert cluster.api.list(RAY_CLUSTERS, cluster.namespace).items == []
    cluster.change("pause", {"runPolicy": {"suspend": False}, "stop": {"envSteps": saved + 4 * BATCH}})
    status = cluster.wait("pause", phase("Succeeded", "Failed"))
    assert status["attempt"] == 2
    assert steps(status) == saved + 4 * BATCH
    assert status["failures"] == {"application": 0, "infrastructure": 0}
    assert f"/{2}/" in status["checkpoint"]["uri"]


def test_stop_rules_reach_a_driver_that_runs(cluster: LiveCluster, operator: OperatorProcess) -> None:
    cluster.create(TRAINING_JOBS, slow_job("shorter", cluster.image, stop=ENDLESS))
    cluster.wait("shorter", lambda status: steps(status) > 0)
    cluster.change("shorter", {"stop": {"envSteps": 2 * BATCH}})
    status = cluster.wait("shorter", phase("Succeeded", "Failed"))
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1)


@pytest.mark.parametrize("at", ["Provisioning", "Training", "Suspended", "Succeeded", "Failed"])
def test_deleting_it_in_any_phase_leaves_nothing_behind(
    cluster: LiveCluster, operator: OperatorProcess, at: str
) -> None:
    changes = {"stop": {"envSteps": BATCH}} if at == "Succeeded" else {"stop": ENDLESS}
    if at == "Failed":
        changes["environment"] = {"entrypoint": "slow:Nothing"}
    cluster.create(TRAINING_JOBS, slow_job("gone", cluster.image, **changes))
    if at == "Suspended":
        cluster.wait("gone", phase("Training"))
        cluster.change("gone", {"runPolicy": {"suspend": True}})
    cluster.wait("gone", phase(at))
    cluster.delete(TRAINING_JOBS, "gone")
    cluster.wait_for("everything is gone", lambda: not cluster.job("gone") and not cluster.children("gone"))
