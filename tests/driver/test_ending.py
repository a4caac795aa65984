"""Where a run ends that learns many times between two of its reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
