"""One finished run that the tests of a file look at."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, TINY, rlp


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
