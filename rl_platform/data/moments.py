"""Count, mean and sum of squared deviations of what was seen, mergeable in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Moments:
    """Of ``count`` values of one shape, in float64."""

    count: int
    mean: np.ndarray
    m2: np.ndarray

    @staticmethod
    def of(values: np.ndarray) -> Moments:
        """Of the rows of [N, ...]."""
        if not len(values):
            zero = np.zeros(values.shape[1:], np.float64)
            return Moments(0, zero, zero)
        mean = values.mean(axis=0, dtype=np.float64)
        return Moments(len(values), mean, np.square(values - mean).sum(axis=0))

    def merge(self, other: Moments) -> Moments:
        """Moments of both together (Chan et al. 1979, "Updating formulae and a pairwise algorithm")."""
        count = self.count + other.count
        if not count:
            return self
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        m2 = self.m2 + other.m2 + np.square(delta) * (self.count * other.count / count)
        return Moments(count, mean, m2)
