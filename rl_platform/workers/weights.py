"""Weights of a policy as one publication has them: here, or where they were learned until someone asks."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rl_platform.models.net import Layout
from rl_platform.workers.losses import LearnerLost

FETCH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class WeightSummary:
    """What is told of weights, so that who only looks after them need not have them.

    ``digests``: of each leaf, in the order of its policy's layout; equal where all its numbers are.
    """

    size: int
    square: float  # sum of squares in single precision: finite weights may overflow it
    not_finite: int
    digests: tuple[int, ...]

    @property
    def told(self) -> list[Any]:
        """Its arguments as Ray sends them in fewest bytes."""
        return [self.size, self.square, self.not_finite, list(self.digests)]


def summary_of(flat: np.ndarray, leaves: Iterable[slice]) -> WeightSummary:
    """``flat``: f32 [size]."""
    square = float(np.vdot(flat, flat))
    not_finite = 0 if math.isfinite(square) else int(np.count_nonzero(~np.isfinite(flat)))
    # Adding nought makes the two zeros one. Any change of a single number changes its leaf's checksum.
    digests = tuple(zlib.crc32((flat[leaf] + np.float32(0)).data) for leaf in leaves)
    return WeightSummary(flat.size, square, not_finite, digests)


class LocalWeights:
    """They are here. ``flat``: f32 [size], never written again."""

    def __init__(self, flat: np.ndarray, layout: Layout) -> None:
        self.flat, self._layout = flat, layout

    @cached_property
    def summary(self) -> WeightSummary:
        return summary_of(self.flat, self._layout.slices.values())


class RemoteWeights:
    """They are elsewhere; brought here once, when they are wanted. ``ray``: the module."""

    def __init__(self, ray: Any, reference: Any, told: list[Any]) -> None:
        size, square, not_finite, digests = told
        self._ray, self.reference = ray, reference
        self.summary = WeightSummary(size, square, not_finite, tuple(digests))

    @cached_property
    def flat(self) -> np.ndarray:
        """f32 [size], read-only. Raises LearnerLost where they are gone with their node."""
        try:
            flat: np.ndarray = self._ray.get(self.reference, timeout=FETCH_SECONDS)
        except self._ray.exceptions.RayError as error:
            why = str(error).strip().partition("\n")[0]
            raise LearnerLost(f"weights that the learner has published are gone: {why}") from error
        return flat


Weights = LocalWeights | RemoteWeights
