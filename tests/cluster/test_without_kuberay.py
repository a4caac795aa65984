"""A cluster that loses KubeRay's kinds for a while: a condition says so, and jobs go on when they are back.

The kind is taken away from the whole cluster, so it must hold no RayCluster of anybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rl_operator.runtime.api import KindMissing
from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.resources import RAY_CLUSTERS, TRAINING_JOBS
from tests.cluster.conftest import DEFINITIONS
from tests.cluster.live_cluster import LiveCluster, condition, phase
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import slow_job

NAME = f"{RAY_CLUSTERS.plural}.{RAY_CLUSTERS.group}"


def served(cluster: LiveCluster) -> bool:
    try:
        cluster.api.list(RAY_CLUSTERS)
    except KindMissing:
        return False
    return True


@pytest.fixture
def bring_back(cluster: LiveCluster, transport: ClusterTransport) -> Iterator[Callable[[], None]]:
    """The kind is gone until this is called, or until the test ends."""
    cluster.wait_for("no RayCluster is left of earlier tests", lambda: not others(cluster))
    definition: dict[str, Any] = cluster.api.get(DEFINITIONS, None, NAME) or {}
    kept = {
        key: definition["metadata"][key] for key in ("name", "annotations") if key in definition["metadata"]
    }
    body = {"metadata": kept, "spec": definition["spec"]}

    def back() -> None:
        cluster.wait_for("the kind is gone", lambda: cluster.api.get(DEFINITIONS, None, NAME) is None)
        cluster.create(DEFINITIONS, body, namespaced=False)
        cluster.wait_for("the kind is served", lambda: served(cluster))

    cluster.api.delete(DEFINITIONS, None, NAME, uid=definition["metadata"]["uid"])
    cluster.wait_for("the kind is not served", lambda: not served(cluster))
    yield back
    if not served(cluster):
        back()


def others(cluster: LiveCluster) -> bool:
    left = cluster.api.list(RAY_CLUSTERS).items
    foreign = [it for it in left if not it["metadata"]["namespace"].startswith("rlp-test-")]
    if foreign:
        pytest.skip("the cluster holds RayClusters of others, which would be deleted")
    return bool(left)


def test_a_job_waits_for_kuberay_and_then_goes_on(
    cluster: LiveCluster, bring_back: Callable[[], None], operator: OperatorProcess
) -> None:
    cluster.create(TRAINING_JOBS, slow_job("early", cluster.image))
    status = cluster.wait(
        "early", lambda status: condition(status, "ClusterReady").get("reason") == "KubeRayMissing"
    )
    assert "install the KubeRay operator" in condition(status, "ClusterReady")["message"]
    bring_back()
    status = cluster.wait("early", phase("Succeeded", "Failed"))
    assert (status["phase"], status["attempt"]) == ("Succeeded", 1)
