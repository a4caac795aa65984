"""Environments that a user may have by mistake."""

from __future__ import annotations

import sys
import time
from typing import Any

import gymnasium
import numpy as np


class Endless(gymnasium.Env[np.ndarray, np.int64]):
    """Its episodes never end."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.zeros(2, np.float32), 1.0, False, False, {}


class Leaving(Endless):
    """Calls sys.exit in its hundredth step, as a simulator's own main loop might."""

    steps = 0

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 100:
            sys.exit(0)
        return super().step(action)


class Slow(Endless):
    """Never comes back from its constructor."""

    def __init__(self) -> None:
        time.sleep(3600)
