"""The chart's release on the cluster that KUBECONFIG names, and a namespace for the jobs of each test.

Images: RLP_TEST_IMAGE, RLP_TEST_OPERATOR_IMAGE, RLP_TEST_STORE_IMAGE (tests/e2e/object_store). Volumes are of
the default class, or in RLP_TEST_NODE_FOLDER of the node; the one that gets full is in
RLP_TEST_SMALL_NODE_FOLDER, on a file system of a few megabytes. How long things are away or pods are deleted:
RLP_E2E_MLFLOW_SECONDS, RLP_E2E_STORE_SECONDS, RLP_E2E_FAULT_SECONDS (with RLP_E2E_SEED).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rl_operator.runtime.api import Api, KindMissing
from rl_operator.runtime.cluster_transport import ClusterTransport, connect
from rl_operator.runtime.resources import RAY_CLUSTERS
from tests.cluster.live_cluster import LiveCluster
from tests.e2e.leftovers import remove_leftovers
from tests.e2e.release import NAME, Release

NEEDED = ("KUBECONFIG", "RLP_TEST_IMAGE", "RLP_TEST_OPERATOR_IMAGE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(5400))


@pytest.fixture(scope="session")
def transport() -> ClusterTransport:
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not set: see make e2e")
    transport = connect()
    try:
        Api(transport).list(RAY_CLUSTERS)
    except KindMissing:
        pytest.skip("the cluster has no KubeRay")
    return transport


@pytest.fixture(scope="session")
def one_release(transport: ClusterTransport) -> Iterator[Release]:
    made = Release(transport, f"rlp-e2e-{uuid4().hex[:8]}")
    remove_leftovers(made.home, NAME)
    yield made
    made.close()


@pytest.fixture
def release(one_release: Release) -> Release:
    """Installed from scratch by the first test, and again after the one that removes it."""
    one_release.install()
    return one_release


@pytest.fixture
def jobs(release: Release) -> Iterator[LiveCluster]:
    made = LiveCluster(release.home.transport, f"rlp-jobs-{uuid4().hex[:8]}", os.environ["RLP_TEST_IMAGE"])
    made.open()
    yield made
    made.close()
