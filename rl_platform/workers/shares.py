"""How several learners share a batch so that together they learn what one would learn from all of it.

Trajectories are dealt out whole; where several ranks hold the same one, its rows are dealt out. All ranks
draw the same minibatches from the numbers of all rows, and each takes the rows that are its own: shares
differ in size, and count by it. A recurrent policy learns from sequences; *unit* stands for row or sequence.

Shape legend: U units of the batch, M units held here, B units of a minibatch, R ranks, J trajectories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rl_platform.workers.ranks import Ranks
from rl_platform.workers.units import Columns, Units

Part = tuple[Columns | None, float]
"""The rows of a minibatch that a rank learns from, None where it has none, and their share of all."""


def dealt(trajectories: int, ranks: int) -> list[int | None]:
    """Who holds each trajectory: one rank, in turns; what is left over after whole rounds is held by all."""
    rounds = trajectories // ranks * ranks
    return [number % ranks if number < rounds else None for number in range(trajectories)]


class Share:
    """The units that this rank learns from. All ranks make theirs at the same time."""

    def __init__(
        self, ranks: Ranks, units: Units, counts: Sequence[int | None], standardize: Sequence[str]
    ) -> None:
        """``counts``: of the ``units`` held here, how many are of each trajectory of the batch; None where
        it is not held here.
        """
        self.ranks, self.units = ranks, units
        told = np.zeros((ranks.count, 1 + len(counts)), np.int64)
        told[ranks.rank] = [units.length, *(0 if count is None else 1 + count for count in counts)]
        ranks.sum(told)
        self.length, holds = int(told[:, 0].max()), told[:, 1:] > 0
        if not holds.any(axis=0).all():
            raise ValueError("a batch has a trajectory that no rank of the learner holds")
        starts = np.cumsum([0, *(told[:, 1:].max(axis=0) - 1)])
        self.total = int(starts[-1])
        self._position = np.full(self.total, -1)  # [U] among those held here
        held = 0
        for number, count in enumerate(counts):
            if count is not None:
                holders = np.flatnonzero(holds[:, number])
                own = np.arange(np.searchsorted(holders, ranks.rank), count, len(holders))
                self._position[starts[number] + own] = held + own
                held += count
        self._rows = self._of_all(units.rows())
        self._spreads = {name: self._of_all(units.spread(name)) for name in standardize}

    def parts(self, order: Sequence[np.ndarray]) -> Iterator[Part]:
        """Of each minibatch, a choice of units [B] of the batch."""
        positions = [self._position[chosen] for chosen in order]
        own = [each[each >= 0] for each in positions]
        for chosen, at, batch in zip(order, positions, self.units.batches(own), strict=True):
            rows = self._rows[chosen]
            share = float(rows[at >= 0].sum() / rows.sum())
            if not share:
                yield None, share
                continue
            for name, spread in self._spreads.items():
                mean, deviation = _moments(rows, spread[chosen])
                batch[name] = (batch[name] - mean) / deviation
            yield batch, share

    def _of_all(self, leaf: np.ndarray) -> np.ndarray:
        """What is told of the units held here, [M, ...], of all units: float64 [U, ...]."""
        own = self._position >= 0
        whole = np.zeros((self.total, *leaf.shape[1:]))
        whole[own] = leaf[self._position[own]]
        self.ranks.sum(whole)
        return whole


def _moments(rows: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    """Mean and deviation over all rows of a minibatch, as `standardized` takes them, from how many rows each
    unit has [B] and their `Units.spread` [B, 2].
    """
    count = rows.sum()
    if count < 2:
        return 0.0, 1.0
    mean = rows.dot(spread[:, 0]) / count
    square = spread[:, 1].sum() + rows.dot(np.square(spread[:, 0] - mean))
    return float(mean), float((square / (count - 1)) ** 0.5 + 1e-8)
