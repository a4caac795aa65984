"""The chart on a real cluster: installed, used, upgraded and rolled back under a running job, removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.resources import SECRETS, TRAINING_JOBS, Resource
from tests.cluster.live_cluster import LiveCluster, phase, steps
from tests.cluster.slow_jobs import ENDLESS, slow_job
from tests.helm.chart import CHART, helm

RELEASE = "rlp"
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
SERVICES = Resource("", "v1", "services", "Service")
MINUTES_TO_TRAIN = 600.0


@pytest.fixture
def home(cluster: LiveCluster, transport: ClusterTransport) -> Iterator[LiveCluster]:
    """The release's own namespace, which enforces restricted Pod Security too."""
    image = os.environ.get("RLP_TEST_OPERATOR_IMAGE", "")
    if not image:
        pytest.skip("RLP_TEST_OPERATOR_IMAGE names no image of the operator")
    place = LiveCluster(transport, f"{cluster.namespace}-home", image)
    place.open()
    yield place
    place.close()


def values(cluster: LiveCluster, home: LiveCluster) -> list[str]:
    """One namespace of jobs, as other tests use the cluster too; the kind is what they have made."""
    given = {"namespaces[0]": cluster.namespace, "crds.enabled": "false", "rbac.aggregate": "false"}
    for name, image in (("image", home.image), ("trainingImage", cluster.image)):
        given[f"{name}.repository"], _, given[f"{name}.tag"] = image.rpartition(":")
    given |= {"resources.requests.cpu": "50m", "mlflow.trial.enabled": "true"}
    given |= {"mlflow.trial.resources.requests.cpu": "50m"}
    return [f"--set={name}={value}" for name, value in given.items()]


def key(home: LiveCluster) -> Any:
    found = home.api.get(SECRETS, home.namespace, f"{RELEASE}-rl-platform-token-key")
    assert found is not None
    return found["data"]["token-key"]


@pytest.mark.timeout(3000)
def test_from_install_to_removal(cluster: LiveCluster, home: LiveCluster) -> None:
    place, given = f"--namespace={home.namespace}", values(cluster, home)
    helm("install", RELEASE, str(CHART), place, *given, "--wait", "--timeout=9m", timeout=600)
    assert "Succeeded" in helm("test", RELEASE, place, timeout=600)
    made = key(home)

    server = f"http://{RELEASE}-rl-platform-mlflow.{home.namespace}.svc.cluster.local:5000"
    tracked = {"tracking": {"mlflowUri": server}, "evaluation": {"episodes": 2}}
    cluster.create(TRAINING_JOBS, slow_job("short", cluster.image, **tracked))
    done = cluster.wait("short", phase("Succeeded"), MINUTES_TO_TRAIN)
    assert done["model"]["uri"] == "models:/short@champion"

    cluster.create(TRAINING_JOBS, slow_job("long", cluster.image, stop=ENDLESS))
    before = cluster.wait("long", lambda status: steps(status) > 0, MINUTES_TO_TRAIN)
    (head,) = cluster.pods("long")

    helm(
        "upgrade",
        RELEASE,
        str(CHART),
        place,
        *given,
        "--set=replicas=1",
        "--wait",
        "--timeout=9m",
        timeout=600,
    )
    helm("rollback", RELEASE, "1", place, "--wait", "--timeout=9m", timeout=600)
    assert key(home) == made
    after = cluster.wait("long", lambda status: steps(status) > steps(before), MINUTES_TO_TRAIN)

    helm("uninstall", RELEASE, place, "--wait", timeout=600)
    left = home.api.list(SECRETS, home.namespace).items
    assert [it["metadata"]["name"] for it in left] == [f"{RELEASE}-rl-platform-token-key"]
    for resource in (DEPLOYMENTS, SERVICES):
        assert home.api.list(resource, home.namespace).items == []
    assert [it["metadata"]["uid"] for it in cluster.pods("long")] == [head["metadata"]["uid"]]

    helm("install", RELEASE, str(CHART), place, *given, "--wait", "--timeout=9m", timeout=600)
    on = cluster.wait("long", lambda status: steps(status) > steps(after), MINUTES_TO_TRAIN)
    assert on["attempt"] == 1, "the new operator goes on with the driver that runs"
    helm("uninstall", RELEASE, place, "--wait", timeout=600)
