"""A cheap environment with Atari's shapes: the image costs nothing to make, so learning is what is measured."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

EPISODE = 200


class SyntheticImage(gymnasium.Env[np.ndarray, np.int64]):
    """84×84×4 bytes; the brightness of the frame says which of four actions is rewarded."""

    observation_space = gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8)
    action_space = gymnasium.spaces.Discrete(4)

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.frames = [rng.integers(64 * i, 64 * (i + 1), (84, 84, 4), dtype=np.uint8) for i in range(4)]
        self.right, self.steps = 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.right, self.steps = int(self.np_random.integers(4)), 0
        return self.frames[self.right], {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = float(int(action) == self.right)
        self.right, self.steps = int(self.np_random.integers(4)), self.steps + 1
        return self.frames[self.right], reward, False, self.steps >= EPISODE, {}
