"""The chart's release on the cluster that KUBECONFIG names, and a namespace for the jobs of each test.

Images: RLP_TEST_IMAGE, RLP_TEST_OPERATOR_IMAGE, RLP_TEST_STORE_IMAGE (tests/e2e/object_store). Volumes are of
the default class, or in RLP_TEST_NODE_FOLDER of the node; the one that gets full is in
RLP_TEST_SMALL_NODE_FOLDER, on a file system of a few megabytes. How long things are away or pods are deleted:
RLP_E2E_MLFLOW_SECONDS, RLP_E2E_STORE_SECONDS, RLP_E2E_FAULT_SECONDS (with RLP_E2E_SEED).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from rl_operator.runtime.api import Api, KindMissing
from rl_operator.runtime.cluster_transport import ClusterTransport, connect
from rl_operator.runtime.resources import RAY_CLUSTERS
from tests.cluster.live_cluster import LiveCluster
from tests.cluster.slow_jobs import CLAIM
from tests.cluster.volume_claims import volume_claim
from tests.e2e.leftovers import remove_leftovers
from tests.e2e.random_deletions import RandomDeletions
from tests.e2e.release import NAME, Release

ORDER = (
    "test_readme.py",  # begins with a cluster that has no job
    "test_from_apply_to_serving.py",  # measures, so nothing runs beside it
    "test_pods_deleted_at_random.py::test_deletions_begin",
    "test_learner_and_rollout_pods.py",
    "test_stores_away.py",
    "test_pods_deleted_at_random.py",
    "test_uninstalling.py",
)
NEEDED = ("KUBECONFIG", "RLP_TEST_IMAGE", "RLP_TEST_OPERATOR_IMAGE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(5400))
    items.sort(key=turn)  # stable: other folders stay as they are


def turn(item: pytest.Item) -> int:
    """Where the longest fitting line of ORDER stands."""
    name = f"{item.path.name}::{item.name}"
    fitting = [each for each in ORDER if name.startswith(each)]
    return ORDER.index(max(fitting, key=len)) if fitting else -1


FAULT_SECONDS = float(os.environ.get("RLP_E2E_FAULT_SECONDS", "600"))
SEED = int(os.environ.get("RLP_E2E_SEED", "1"))


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


@contextmanager
def place_of_jobs(release: Release) -> Iterator[LiveCluster]:
    made = LiveCluster(release.home.transport, f"rlp-jobs-{uuid4().hex[:8]}", os.environ["RLP_TEST_IMAGE"])
    made.open()
    yield made
    made.close()


@pytest.fixture
def jobs(release: Release) -> Iterator[LiveCluster]:
    with place_of_jobs(release) as made:
        yield made


@pytest.fixture(scope="session")
def deletions(one_release: Release) -> Iterator[RandomDeletions]:
    one_release.install()
    with place_of_jobs(one_release) as jobs, volume_claim(jobs, CLAIM):
        made = RandomDeletions(jobs, one_release, FAULT_SECONDS, SEED)
        yield made
        made.close()
