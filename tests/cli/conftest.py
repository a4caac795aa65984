"""One finished run that the tests of a file look at; a namespace of a real API server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.apiserver.control_plane import ControlPlane
from tests.cli.cluster_jobs import ClusterJobs
from tests.cli.commands import CARTPOLE, TINY, rlp
from tests.contracts.source_files import ROOT

CRD = ROOT / "helm" / "rl-platform" / "files" / "trainingjobs.rlplatform.io.yaml"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="module")
def finished(workplace: Path) -> subprocess.CompletedProcess[str]:
    """The process of a run in ``runs/cartpole-ppo`` of the workplace."""
    ran = rlp(workplace, "run", CARTPOLE, *TINY, "--json")
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.fixture(scope="module")
def run(workplace: Path, finished: subprocess.CompletedProcess[str]) -> Path:
    """The run's folder; not for tests that change it."""
    del finished
    return workplace / "runs" / "cartpole-ppo"


@pytest.fixture(scope="session")
def served(api_server: ControlPlane) -> ControlPlane:
    """The API server, with TrainingJobs."""
    api_server.install_crd(yaml.safe_load(CRD.read_text()))
    return api_server


@pytest.fixture
def jobs(served: ControlPlane, namespace: str, tmp_path: Path) -> ClusterJobs:
    """A new namespace that jobs can be submitted to."""
    return ClusterJobs(served, namespace, tmp_path)
