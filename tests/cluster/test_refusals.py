"""What keeps a job from running is told in a condition, with its reason, and is mended without a new job."""

from __future__ import annotations

import pytest

from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cluster.live_cluster import QUOTAS, LiveCluster, condition, phase
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import slow_job


def why(cluster: LiveCluster, name: str, reason: str) -> str:
    status = cluster.wait(name, lambda status: condition(status, "ClusterReady").get("reason") == reason)
    assert condition(status, "ClusterReady")["status"] == "False"
    assert status["phase"] == "Provisioning"
    return str(condition(status, "ClusterReady")["message"])


def test_an_image_that_cannot_be_pulled(cluster: LiveCluster, operator: OperatorProcess) -> None:
    registry = cluster.image.partition("/")[0]
    missing = f"{registry}/rl-platform/no-such-image:none"
    cluster.create(TRAINING_JOBS, slow_job("image", missing))
    assert missing in why(cluster, "image", "ImagePullFailed")


def test_a_quota_that_is_too_small_and_then_is_not(cluster: LiveCluster, operator: OperatorProcess) -> None:
    quota = {"metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "1Gi"}}}
    cluster.create(QUOTAS, quota)
    cluster.create(TRAINING_JOBS, slow_job("quota", cluster.image))
    assert "exceeded quota: small" in why(cluster, "quota", "QuotaExceeded")
    cluster.delete(QUOTAS, "small")
    status = cluster.wait("quota", phase("Succeeded", "Failed"))
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1)


def test_a_pod_that_no_node_can_take(cluster: LiveCluster, operator: OperatorProcess) -> None:
    driver = {"resources": {"cpu": "1000", "memory": "1Gi"}}
    cluster.create(TRAINING_JOBS, slow_job("large", cluster.image, driver=driver))
    assert "Insufficient cpu" in why(cluster, "large", "Unschedulable")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stop": {}}, "spec.stop"),
        ({"algorithm": {}}, "spec.algorithm"),
        ({"environment": {"id": "CartPole-v1", "entrypoint": "slow:Slow"}}, "spec.environment"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_by_the_server(
    cluster: LiveCluster, changes: dict[str, object], field: str
) -> None:
    from rl_operator.runtime.api import Invalid

    with pytest.raises(Invalid) as refused:
        cluster.create(TRAINING_JOBS, slow_job("nonsense", cluster.image, **changes))
    assert field in str(refused.value)
