"""A cluster with KubeRay that KUBECONFIG names, an image in RLP_TEST_IMAGE, and a namespace for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rl_operator.runtime.api import Api, KindMissing
from rl_operator.runtime.cluster_transport import ClusterTransport, connect
from rl_operator.runtime.resources import RAY_CLUSTERS, Resource
from rl_platform.spec.crd import custom_resource_definition
from tests.cluster.live_cluster import LiveCluster
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import CLAIM
from tests.cluster.volume_claims import volume_claim

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
OPERATORS = "app.kubernetes.io/name=rl-platform,app.kubernetes.io/component=operator"
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def image() -> str:
    for variable in ("KUBECONFIG", "RLP_TEST_IMAGE"):
        if not os.environ.get(variable):
            pytest.skip(f"{variable} is not set: see make test-cluster")
    return os.environ["RLP_TEST_IMAGE"]


@pytest.fixture(scope="session")
def transport(image: str) -> ClusterTransport:
    """With the CustomResourceDefinition of this checkout."""
    transport = connect()
    api = Api(transport)
    definition = custom_resource_definition()
    present = api.get(DEFINITIONS, None, definition["metadata"]["name"])
    if present is None:
        api.create(DEFINITIONS, None, definition)
    else:
        definition["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        api.replace(DEFINITIONS, None, definition["metadata"]["name"], definition)
    try:
        api.list(RAY_CLUSTERS)
    except KindMissing:
        pytest.skip("the cluster has no KubeRay")
    for each in api.list(DEPLOYMENTS, label_selector=OPERATORS).items:
        where = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        pytest.fail(f"the operator {where} would act on the same jobs; remove it: helm uninstall")
    return transport


@pytest.fixture
def cluster(transport: ClusterTransport, image: str) -> Iterator[LiveCluster]:
    """A namespace of its own for each test."""
    made = LiveCluster(transport, f"rlp-test-{uuid4().hex[:8]}", image)
    made.open()
    yield made
    made.close()


@pytest.fixture
def operator(cluster: LiveCluster, tmp_path: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess(cluster.namespace, tmp_path)
    process.start()
    yield process
    process.stop()
    print(process.log.read_text()[-6000:])  # noqa: T201 - shown by pytest where the test failed


@pytest.fixture
def claim(cluster: LiveCluster) -> Iterator[str]:
    with volume_claim(cluster, CLAIM):
        yield CLAIM
