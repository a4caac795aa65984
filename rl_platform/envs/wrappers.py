"""Wrappers that tests and examples of the platform name by entrypoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box


class KeepObservation(gymnasium.ObservationWrapper[np.ndarray, Any, np.ndarray]):
    """Shows some numbers of a 1-D Box observation, e.g. CartPole without velocities: ``indices: [0, 2]``.

    Raises ValueError for another space or an index out of range.
    """

    def __init__(self, env: gymnasium.Env[np.ndarray, Any], indices: Sequence[int]) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ValueError(
                f"KeepObservation needs a 1-D Box observation; the environment has {space!r:.200}"
            )
        size = space.shape[0]
        unknown = [index for index in indices if not 0 <= index < size]
        if unknown or not indices:
            raise ValueError(
                f"KeepObservation: indices are {list(indices)}; expected some of 0 to {size - 1}"
            )
        self.indices = np.array(indices, np.int64)
        kind: Any = space.dtype
        self.observation_space = Box(space.low[self.indices], space.high[self.indices], dtype=kind)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """The kept numbers, in the order of ``indices``."""
        kept: np.ndarray = observation[self.indices]
        return kept
