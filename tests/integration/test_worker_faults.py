"""Rollout workers that are killed, hang or cannot be made: the run goes on, or ends with their own words."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.result import Result
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.execution.remote_sampling import LOST
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report
from rl_platform.workers.replacement import GIVE_UP
from tests.integration.probes import DQN, PPO, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.risky import workers

pytestmark = pytest.mark.usefixtures("ray_here")
SMALL = {"ppo": PPO | {"batchSize": 128, "minibatchSize": 64}}


def risky(
    folder: Path,
    risk: str = "none",
    algorithm: dict[str, Any] | None = None,
    replicas: int = 2,
    env_steps: int = 4_000,
    **kwargs: Any,
) -> TrainingJob:
    folder.mkdir()
    environment = {
        "entrypoint": "tests.integration.risky:Risky",
        "kwargs": {"folder": str(folder), "driver": os.getpid(), "risk": risk, **kwargs},
        "stepTimeoutSeconds": 2.0,
    }
    return job(
        environment,
        algorithm or SMALL,
        rollouts={"replicas": replicas, "envsPerWorker": 2},
        stop={"envSteps": env_steps},
    )


class Killer:
    """Kills so many of the workers, once, at the third report. The run may end when others have come for
    them.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count, self.reports = folder, count, 0

    def __call__(self, report: Report) -> None:
        self.reports += 1
        if self.reports == 3:
            victims = sorted(workers(self.folder))[: self.count]
            assert len(victims) == self.count
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
        elif self.reports > 3 and report.env_steps >= 4_000 and len(workers(self.folder)) == 2 + self.count:
            os.kill(os.getpid(), signal.SIGTERM)


def assert_complete(result: Result, lost: int, state: str = "Succeeded") -> None:
    assert (result.state, result.workers_lost) == (state, lost)
    assert result.env_steps >= 4_000
    assert result.agent_steps == {"default": result.env_steps}


def test_a_killed_worker_is_replaced_and_what_it_had_in_hand_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    of = risky(folder, env_steps=10**9)
    result = train(of, tmp_path / "run", on_report=Killer(folder, 1))
    assert_complete(result, lost=1, state="Drained")
    assert result.dropped == {LOST: 64}  # 32 ticks of 2 environments


def test_replay_goes_on_when_all_workers_are_killed_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    of = risky(folder, algorithm={"dqn": DQN}, env_steps=10**9)
    result = train(of, tmp_path / "run", on_report=Killer(folder, 2))
    assert_complete(result, lost=2, state="Drained")
    assert result.updates == pytest.approx((result.env_steps - 64) / 4, abs=64)


@pytest.mark.parametrize("risk", ["step_hangs", "step_hangs_deaf"])
def test_a_worker_that_hangs_is_replaced(risk: str, tmp_path: Path) -> None:
    result = train(risky(tmp_path / "processes", risk, replicas=1), tmp_path / "run")
    assert_complete(result, lost=1)


def test_a_worker_that_cannot_be_made_leaves_the_work_to_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a node where something is missing: it is tried again less and less often, and says why."""
    folder = tmp_path / "processes"
    result = train(risky(folder, "made_once_at_a_time", sleep=0.002), tmp_path / "run")
    assert result.state == "Succeeded"
    assert result.env_steps >= 4_000
    assert result.workers_lost >= 1
    said = [record.getMessage() for record in caplog.records if "is replaced" in record.getMessage()]
    again = [text.partition(" is replaced ")[2].partition(":")[0] for text in said]
    assert again == ["at once", "again in 1 s", "again in 2 s", "again in 4 s"][: len(again)]
    assert all("the licence is in use" in text for text in said)


def failure(of: Callable[[], Result]) -> TrainingFailed:
    with pytest.raises(TrainingFailed) as caught:
        of()
    return caught.value


@pytest.mark.parametrize(
    ("risk", "kind"),
    [
        ("step_raises", "RuntimeError"),
        ("made_raises", "RuntimeError"),
        ("step_interrupts", "KeyboardInterrupt"),
    ],
)
def test_an_environment_that_always_fails_ends_the_run_with_its_own_words(
    risk: str, kind: str, tmp_path: Path
) -> None:
    of = risky(tmp_path / "processes", risk, replicas=1, after=0)
    failed = failure(lambda: train(of, tmp_path / "run"))
    assert (failed.result.reason, int(failed.result.exit_code)) == ("EnvironmentFault", 1)
    assert "the simulator lost its connection" in failed.result.message
    trace = "".join(traceback.format_exception(failed.__cause__))
    assert f"in {risk}" in trace
    assert kind in trace
    assert len(workers(tmp_path / "processes")) == GIVE_UP


def test_workers_whose_processes_end_are_told_in_our_words(tmp_path: Path) -> None:
    of = risky(tmp_path / "processes", "step_exits", replicas=1, after=0)
    result = failure(lambda: train(of, tmp_path / "run")).result
    assert (result.reason, result.workers_lost) == ("EnvironmentFault", GIVE_UP)
    assert "os._exit, a crash in native code, too little memory" in result.message
    assert "what they printed is in their pods' logs, or in those of their Ray" in result.message
