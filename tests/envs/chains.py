"""Environments whose observations say exactly where they were made, for tests of adapters and workers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

RESET, MIDDLE, TERMINAL, CUT = -1.0, 0.0, 9.0, 8.0
"""Markers in the last number of an observation."""


class ChainEnv(gymnasium.Env[np.ndarray, Any]):
    """Observation [episode, step, last action, marker]; rewards count up, so each is unique.

    Episodes last 1 to ``longest`` steps, from the environment's own random numbers, and are terminated or
    truncated by the toss of a coin.
    """

    def __init__(self, longest: int = 7) -> None:
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = Discrete(3)
        self.longest = longest
        self.episode = self.step_number = self.end = self.paid = 0
        self.terminates = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode = 1 if seed is not None else self.episode + 1
        self.paid = 0 if seed is not None else self.paid
        self.step_number = 0
        self.end = int(self.np_random.integers(1, self.longest + 1))
        self.terminates = bool(self.np_random.integers(2))
        return self._observe(0, RESET), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.step_number += 1
        self.paid += 1
        over = self.step_number >= self.end
        marker = (TERMINAL if self.terminates else CUT) if over else MIDDLE
        terminated, truncated = over and self.terminates, over and not self.terminates
        return self._observe(int(action), marker), float(self.paid), terminated, truncated, {}

    def _observe(self, action: int, marker: float) -> np.ndarray:
        return np.array([self.episode, self.step_number, action, marker], np.float32)


class SavedChainEnv(ChainEnv):
    """A chain that can say its state."""

    def get_state(self) -> dict[str, Any]:
        counts = np.array([self.episode, self.step_number, self.end, self.paid])
        return {"counts": counts, "terminates": self.terminates}

    def set_state(self, state: dict[str, Any]) -> None:
        self.episode, self.step_number, self.end, self.paid = (int(count) for count in state["counts"])
        self.terminates = bool(state["terminates"])
