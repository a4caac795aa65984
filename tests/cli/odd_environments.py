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


class Crowded(Endless):
    """The second one in a process waits for ever, as for a port that the first one holds."""

    made = 0

    def __init__(self) -> None:
        Crowded.made += 1
        if Crowded.made == 3:  # the first was the preflight's
            time.sleep(3600)


class Leisurely(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes its time to be made."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        time.sleep(0.5)
        super().__init__(env)


class Boundless(Endless):
    """Observes more than its space says."""

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return np.array([0, 7], np.float32), 1.0, False, False, {}
