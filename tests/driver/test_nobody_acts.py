"""A run in which no trained policy ever acts has trained nothing, however many env steps it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.conditions import FailureReason
from tests.integration.probes import Team, job


class Asleep(Team):
    """Nobody is shown anything, and the episode ends by its limit."""

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        _, infos = super().reset(seed, options)
        return {}, infos

    def step(self, actions: dict[str, int]) -> Any:
        return {}, {}, {}, {}, {agent: {} for agent in self.agents}


@pytest.mark.parametrize(
    "algorithm",
    [{"ppo": {"batchSize": 64, "minibatchSize": 32}}, {"dqn": {"learningStarts": 10}}, {"impala": {}}],
)
def test_it_ends_as_no_progress(tmp_path: Path, algorithm: dict[str, Any]) -> None:
    made = job(
        {"entrypoint": f"{__name__}:Asleep", "kind": "pettingzooParallel", "maxEpisodeSteps": 10},
        algorithm,
        stop={"envSteps": 400},
    )
    with pytest.raises(TrainingFailed, match="no agent of a trained policy has acted") as failed:
        train(made, tmp_path / "run")
    assert failed.value.result.reason == FailureReason.NO_PROGRESS
