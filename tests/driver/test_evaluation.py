from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_platform.driver.building import environments
from rl_platform.driver.evaluation import evaluate
from rl_platform.models.policy import Act
from rl_platform.spec.training_job import TrainingJob


class Countdown(gymnasium.Env[np.ndarray, np.int64]):
    """Episodes of 1, 2, 3, ... steps, from a seeded reset on; every step pays 1."""

    observation_space = gymnasium.spaces.Box(0, np.inf, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.episode, self.steps = 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode, self.steps = 1 if seed is not None else self.episode + 1, 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(1, self.steps, np.float32), 1.0, self.steps >= self.episode, False, {}


def next_step_vector(num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv([Countdown] * num_envs, autoreset_mode=AutoresetMode.NEXT_STEP)


class Always:
    """An actor that always takes action 0."""

    extras: tuple[str, ...] = ()
    noise_width = 0
    version = 0

    def __init__(self, spaces: Any) -> None:
        self.spaces = spaces

    def initial_state(self, lanes: int) -> dict[str, np.ndarray]:
        return {}

    def draw_noise(self, rng: Any, shape: tuple[int, ...]) -> np.ndarray:
        raise AssertionError("an evaluation takes the mode")

    def load(self, flat: np.ndarray, knobs: Any, version: int) -> None: ...

    def act(self, obs: dict[str, np.ndarray], state: Any, first: Any, noise: Any) -> Act:
        assert noise is None
        action = np.zeros(len(obs["obs"]), np.int64)
        return Act(action, action, {}, {})


def job(**environment: Any) -> TrainingJob:
    document = {
        "metadata": {"name": "evaluated"},
        "spec": {"environment": environment, "algorithm": {"ppo": {}}, "stop": {"envSteps": 1}},
    }
    return TrainingJob.model_validate(document)


@pytest.mark.parametrize(
    "environment",
    [
        {"entrypoint": f"{__name__}:Countdown"},
        {"entrypoint": f"{__name__}:next_step_vector", "vectorized": True},
    ],
    ids=["episode by episode", "a vector that resets in the next step"],
)
def test_every_environment_plays_its_share_so_short_episodes_are_not_preferred(
    environment: dict[str, Any],
) -> None:
    adapter = environments(job(**environment), 2)
    actors = {name: Always(lanes.spaces) for name, lanes in adapter.lanes.items()}
    result = evaluate(adapter, actors, episodes=5, seed=0)
    # Three episodes of one environment (1, 2, 3 steps) and two of the other (1, 2).
    assert result.episodes == 5
    assert result.return_mean == pytest.approx(9 / 5)
    assert result.length_mean == pytest.approx(9 / 5)
    assert (result.return_min, result.return_max) == (1.0, 3.0)


def test_how_many_episodes_are_over_is_told_at_every_tick() -> None:
    told: list[int] = []
    adapter = environments(job(entrypoint=f"{__name__}:Countdown"), 1)
    actors = {name: Always(lanes.spaces) for name, lanes in adapter.lanes.items()}
    evaluate(adapter, actors, episodes=3, seed=0, on_tick=told.append)
    assert told == [0, 1, 1, 2, 2, 2]  # of 1, 2 and 3 steps
