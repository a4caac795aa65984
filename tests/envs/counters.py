"""A vector environment of its own whose every value is known, and rows for an adapter to arrive in."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl_platform.envs.adapter import Arrivals
from rl_platform.envs.vector_adapter import VectorAdapter


class Counters(VectorEnv[Any, Any, Any]):
    """A vector of its own, batched throughout: lane i's episodes take 2+i steps; masks come in the info."""

    def __init__(self, num_envs: int, mode: AutoresetMode) -> None:
        self.metadata = {"autoreset_mode": mode}
        self.num_envs = num_envs
        self.single_observation_space = Dict(count=Box(0, np.inf, (1,)), lane=Discrete(num_envs, start=10))
        self.single_action_space = Discrete(3, start=1)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.count = np.zeros(num_envs, np.int64)
        self.seeds: list[Any] = []
        self.actions: list[np.ndarray] = []

    def _observe(self) -> dict[str, np.ndarray]:
        lane = 10 + np.arange(self.num_envs)
        return {"count": self.count[:, None].astype(np.float32), "lane": lane}

    def _info(self) -> dict[str, np.ndarray]:
        return {"action_mask": (self.count[:, None] % 2 == np.arange(3) % 2).astype(np.int8)}

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        mask = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        self.seeds.append(seed)
        self.count[mask] = 0
        return self._observe(), self._info()

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self.actions.append(actions)
        self.count += 1
        ended = self.count == 2 + np.arange(self.num_envs)
        info: dict[str, Any] = {}
        if self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP and ended.any():
            info["final_obs"] = self._observe()
            self.count[ended] = 0
        return self._observe(), self.count.astype(float), ended, np.zeros_like(ended), info | self._info()


def arrivals_of(adapter: VectorAdapter) -> dict[str, Arrivals]:
    count, obs = adapter.num_envs, adapter.lanes["default"].spaces.obs
    return {
        "default": Arrivals(
            {path: np.zeros((count, *leaf.shape), leaf.dtype) for path, leaf in obs.items()},
            np.zeros(count, np.float32),
            np.zeros(count, np.uint8),
            np.zeros(count, bool),
            np.zeros(count, bool),
        )
    }
