"""A corridor: the agent walks left or right and is paid when it reaches the end on the right."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

Observation = np.ndarray


class Corridor(gymnasium.Env[Observation, int]):
    """``length`` cells; observation f32 [1]: how far along it is, from 0 to 1."""

    def __init__(self, length: int = 8) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._length, self._cell = length, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        self._cell = 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self._cell = max(0, self._cell + (1 if action == 1 else -1))
        there = self._cell == self._length - 1
        return self._seen(), 1.0 if there else -0.01, there, False, {}

    def _seen(self) -> Observation:
        return np.array([self._cell / (self._length - 1)], np.float32)
