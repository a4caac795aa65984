"""An environment whose every step can be told from all others, and a large one to fill an object store."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Counter(gymnasium.Env[Any, Any]):
    """Shows a number of its own and the number of its steps so far; an episode has 10."""

    observation_space = Box(0.0, np.inf, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self) -> None:
        self.own, self.steps = 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.own = self.own or int(self.np_random.integers(1, 2**23))
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.seen(), float(self.steps), self.steps % 10 == 0, False, {}

    def seen(self) -> Any:
        return np.array([self.own, self.steps], np.float32)


class Large(Counter):
    """Shows 256 kB a step."""

    observation_space = Box(-1.0, 1.0, (65_536,), np.float32)

    def seen(self) -> Any:
        return np.full(65_536, self.steps % 2, np.float32)
