"""Where a run ends that learns many times between two of its reports."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rl_platform.driver.train import train
from tests.integration.probes import job

SMALL = {"batchSize": 8, "learningStarts": 64, "fragmentLength": 1}
"""Two env steps at a time; an update comes with the first beyond those that it is for."""


@pytest.mark.parametrize("name", ["dqn", "apex"])
@pytest.mark.parametrize(
    ("stop", "every", "ended"),
    [({"envSteps": 1200}, 8, (1202, 143)), ({"updates": 5, "envSteps": 9000}, 4, (82, 5))],
)
def test_env_steps_and_updates_are_looked_at_when_they_are_reached(
    tmp_path: Path, name: str, stop: dict[str, int], every: int, ended: tuple[int, int]
) -> None:
    algorithm: dict[str, Any] = {name: SMALL | {"trainEvery": every}}
    made = job({"id": "CartPole-v1"}, algorithm, rollouts={"envsPerWorker": 2}, stop=stop)
    result = train(made, tmp_path / "run")
    assert (result.env_steps, result.updates) == ended


@pytest.mark.parametrize(
    ("name", "by_env_steps", "by_updates"),
    [
        ("a2c", (1120, 35), (224, 7)),
        ("a3c", (1120, 35), (224, 7)),
        ("impala", (1536, 3), (3584, 7)),
        ("appo", (1536, 12), (1024, 8)),
    ],
)
def test_a_run_ends_with_the_first_batch_that_is_enough(
    tmp_path: Path, name: str, by_env_steps: tuple[int, int], by_updates: tuple[int, int]
) -> None:
    """32 env steps are a batch of A2C and A3C; 512 one of IMPALA and of APPO, which makes 4 updates of it."""
    for stop, ended in (
        ({"envSteps": 1120}, by_env_steps),
        ({"updates": 7, "envSteps": 9000}, by_updates),
    ):
        made = job({"id": "CartPole-v1"}, {name: {}}, rollouts={"envsPerWorker": 2}, stop=stop)
        result = train(made, tmp_path / str(ended[0]))
        assert (result.env_steps, result.updates) == ended


def test_a_phase_in_which_nothing_happens_is_not_told(tmp_path: Path) -> None:
    phases: list[str] = []
    made = job({"id": "CartPole-v1"}, {"a2c": {}}, stop={"updates": 1}, evaluation={"episodes": 0})
    train(made, tmp_path / "none", on_phase=phases.append)
    assert phases == ["preflight", "training", "saving"]
    made = job({"id": "CartPole-v1"}, {"a2c": {}}, stop={"updates": 1}, evaluation={"episodes": 1})
    train(made, tmp_path / "one", on_phase=phases.append)
    assert phases[3:] == ["preflight", "training", "saving", "evaluating"]


class Slow(gymnasium.Env[Any, Any]):
    """20 ms a step: 1,024 of them take 20 s."""

    observation_space, action_space = Box(-1, 1, (2,)), Discrete(2)

    def reset(self, **options: Any) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        time.sleep(0.02)
        return np.zeros(2, np.float32), 1.0, False, False, {}


@pytest.mark.parametrize("by", ["wallSeconds", "SIGTERM"])
def test_a_slow_run_hears_the_clock_and_signals_between_its_reports(tmp_path: Path, by: str) -> None:
    stop = {"envSteps": 5000} | ({"wallSeconds": 2} if by == "wallSeconds" else {})
    environment = {"entrypoint": f"{__name__}:Slow", "maxEpisodeSteps": 50}
    made = job(environment, {"a2c": {"fragmentLength": 4}}, rollouts={"envsPerWorker": 1}, stop=stop)
    asking = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGTERM))
    if by == "SIGTERM":
        asking.start()
    result = train(made, tmp_path / "run")
    asking.cancel()
    assert result.reason == ("WallTimeReached" if by == "wallSeconds" else "Drained")
    assert 0 < result.env_steps < 500
    assert result.checkpoint
