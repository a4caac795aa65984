"""Actors whose decisions follow from what they were given, so that a test can tell what that was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import OBS, Tree
from rl_platform.models.deferred import DeferredAssessment
from rl_platform.models.policy import Act


class SumActor:
    """Acts by the sum of its observation; its value is a weighted sum, so different observations differ."""

    noise_width = 0
    extras: tuple[str, ...] = ("value",)
    deferred: DeferredAssessment | None = None

    def __init__(self, spaces: Spaces) -> None:
        self.spaces, self.version = spaces, 1

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.random((*shape, self.noise_width)).astype(np.float32)

    def initial_state(self, lanes: int) -> Tree:
        return {}

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        self.version = version

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        seen = obs[OBS]
        assert seen.shape[1:] == self.spaces.obs[OBS].shape
        action = np.nan_to_num(seen.sum(axis=1)).astype(np.int64) % 3
        return Act(action, action, {}, {"value": value_of(seen)})


class NoisyActor(SumActor):
    """Acts by its noise alone."""

    noise_width = 1
    extras = ()

    def act(self, obs: Any, state: Any, first: Any, noise: np.ndarray | None) -> Act:
        assert noise is not None
        action = (noise[:, 0] * 3).astype(np.int64)
        return Act(action, action, {}, {})


class CountingActor(SumActor):
    """Remembers how often it has acted in the present life; acts by that.

    Its value is 1000 times the count, plus the second number of the observation.
    """

    def initial_state(self, lanes: int) -> Tree:
        return {"state/count": np.zeros((lanes, 1), np.float32)}

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        assert first is not None
        count = np.where(first[:, None], 0.0, state["state/count"])
        action = count[:, 0].astype(np.int64) % 3
        value = (1000 * count[:, 0] + obs[OBS][:, 1]).astype(np.float32)
        return Act(action, action, {"state/count": (count + 1).astype(np.float32)}, {"value": value})


def value_of(obs: np.ndarray) -> np.ndarray:
    """[B] of observations [B, D]."""
    weights = np.array([100.0, 10.0, 1.0, 0.01, 0.001], np.float32)[: obs.shape[1]]
    return (obs * weights).sum(axis=1).astype(np.float32)
