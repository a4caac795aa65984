"""Environments that go wrong at a certain step, in every way that environments do."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Faulty(gymnasium.Env[Any, Any]):
    """Sound until step ``at`` of the run, then ``fault`` (a method below) happens."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, fault: str, at: int) -> None:
        self.fault, self.at, self.steps = fault, at, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        obs, reward = self.seen(), 1.0
        if self.steps >= self.at:
            obs, reward = getattr(self, self.fault)(obs, reward)
        return obs, reward, bool(self.np_random.random() < 0.05), False, {}

    def seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def nan_observation(self, obs: Any, reward: float) -> tuple[Any, Any]:
        return np.array([0.5, np.nan], np.float32), reward

    def nan_reward(self, obs: Any, reward: float) -> tuple[Any, Any]:
        return obs, float("nan")

    def infinite_reward(self, obs: Any, reward: float) -> tuple[Any, Any]:
        return obs, float("inf")

    def wrong_shape(self, obs: Any, reward: float) -> tuple[Any, Any]:
        return np.zeros(3, np.float32), reward

    def raises(self, obs: Any, reward: float) -> tuple[Any, Any]:
        raise RuntimeError("the simulator lost its connection")

    def hangs(self, obs: Any, reward: float) -> tuple[Any, Any]:
        time.sleep(60)
        return obs, reward

    def reward_of_two(self, obs: Any, reward: float) -> tuple[Any, Any]:
        return obs, np.array([1.0, 2.0])

    def enormous_reward(self, obs: Any, reward: float) -> tuple[Any, Any]:
        """Finite, and too much for single precision once it is squared."""
        return obs, 1e30
