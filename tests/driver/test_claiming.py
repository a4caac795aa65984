"""Who may write checkpoints: attempts of one job, a job made again, and a stranger, at one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.checkpoints.errors import StaleAttempt
from rl_platform.checkpoints.store import CheckpointStore
from rl_platform.driver.building import BadConfiguration
from rl_platform.driver.claiming import attempt_of_environment, open_store
from rl_platform.driver.run_folder import RunFolder
from rl_platform.driver.train import train
from rl_platform.spec.driver_protocol import ATTEMPT_ENV, JOB_UID_ENV, ExitCode
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report
from tests.integration.probes import PPO, job

CARTPOLE = {"environment": {"id": "CartPole-v1"}, "algorithm": {"ppo": PPO}}


class Cluster:
    """What the operator tells a driver."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self._monkeypatch = place, monkeypatch

    def open(self, attempt: int, uid: str = "u1", name: str = "walker") -> CheckpointStore:
        self._monkeypatch.setenv(ATTEMPT_ENV, str(attempt))
        self._monkeypatch.setenv(JOB_UID_ENV, uid)
        made = self.job(name)
        return open_store(made, RunFolder(self.place / "run"))

    def job(self, name: str = "walker") -> TrainingJob:
        made = job(**CARTPOLE, checkpoint={"uri": str(self.place / "store")})
        metadata = made.metadata.model_copy(update={"name": name})
        return made.model_copy(update={"metadata": metadata})


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


def test_the_operators_attempt_is_the_number_in_a_store_of_ones_own(cluster: Cluster) -> None:
    for attempt in (1, 2, 5):  # 3 and 4 never came so far as to claim it
        store = cluster.open(attempt)
        store.claim()
        assert store.attempt == attempt


def test_a_lower_attempt_that_comes_late_is_turned_away(cluster: Cluster) -> None:
    cluster.open(2).claim()
    with pytest.raises(StaleAttempt, match="attempt 2 of this job has taken over"):
        cluster.open(1)


def test_of_two_that_open_at_once_the_higher_one_stays(cluster: Cluster) -> None:
    low, high = cluster.open(1), cluster.open(2)
    high.claim()
    with pytest.raises(StaleAttempt):
        low.claim()


def test_a_job_that_was_made_again_goes_on_and_fences_its_former_self(cluster: Cluster) -> None:
    old = cluster.open(7, uid="old")
    old.claim()
    new = cluster.open(1, uid="new")
    new.claim()
    assert new.attempt == 8
    with pytest.raises(StaleAttempt):
        old.claim()
    again = cluster.open(2, uid="new")
    again.claim()
    assert again.attempt == 9
    with pytest.raises(StaleAttempt, match="attempt 2 of this job"):
        cluster.open(1, uid="new")


def test_another_job_does_not_mix_in(cluster: Cluster) -> None:
    cluster.open(1).claim()
    with pytest.raises(BadConfiguration, match=r"belong to the job default/walker, this is default/runner"):
        cluster.open(1, uid="u2", name="runner")


def test_what_a_laptop_left_may_be_taken_up(cluster: Cluster) -> None:
    CheckpointStore(str(cluster.place / "store"), attempt=3).claim()
    assert cluster.open(1).attempt == 4


@pytest.mark.parametrize("given", ["0", "-1", "x", "", "10000000000"])
def test_an_attempt_that_is_no_number_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ATTEMPT_ENV, given)
    with pytest.raises(BadConfiguration, match=ATTEMPT_ENV):
        attempt_of_environment()


def test_a_driver_that_is_fenced_off_while_it_trains_ends_as_drained(cluster: Cluster) -> None:
    cluster.open(1)  # sets the environment of attempt 1
    spec = {
        "stop": {"envSteps": 10**9},
        "checkpoint": {"uri": str(cluster.place / "store"), "everyUpdates": 16},
    }
    endless = job(**CARTPOLE, **spec)

    def take_over(report: Report) -> None:
        store = CheckpointStore(str(cluster.place / "store"), attempt=2)
        if store.highest_attempt() == 1:
            store.claim()

    result = train(endless, cluster.place / "run", taking="resume", on_report=take_over)
    assert result.exit_code is ExitCode.DRAINED
    assert "attempt 2 has taken over" in result.message
