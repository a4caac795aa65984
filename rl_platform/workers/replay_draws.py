"""Which slots of a replay buffer a sample is made of: all alike, or in proportion to their priorities.

A buffer may be one of several shards that are drawn from as if they were one: then each finds out by itself
which of the draws are its own.

Shape legend: U minibatches, B transitions of each, M transitions that are stored, N draws of this buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.workers.sum_tree import SumTree

REPLAY = "replay/"
"""Before the names of columns that only the replay buffer reads."""
PRIORITY = f"{REPLAY}priority"
"""Column of transitions that come with a priority of their own (a temporal difference, of any sign)."""
WEIGHT, SLOT, SERIAL = "weight", f"{REPLAY}slot", f"{REPLAY}serial"
"""Columns of a sample: importance weight, and whose priority is meant when it is learned from."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of all that is drawn from a buffer is: shard ``index`` of some."""

    masses: tuple[float, ...]  # of every shard, as far as is known; their own sums say how draws fall on them
    size: int  # transitions in all of them
    index: int = 0

    def own(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions [N] in the flattened ``points`` below the sum of masses that fall on this shard, and how
        far into it they lie [N].
        """
        flat = points.reshape(-1)
        ends = np.cumsum(np.asarray(self.masses, points.dtype))
        where = np.flatnonzero(np.searchsorted(ends[:-1], flat, side="right") == self.index)
        return where, flat[where] - (ends[self.index - 1] if self.index else 0)


class Drawn(NamedTuple):
    """What falls on one buffer of a sample [U, B]."""

    where: np.ndarray  # [N] positions in the flattened sample
    slots: np.ndarray  # [N]
    columns: Tree  # [N] that go with it; weights are not yet divided by the largest of their minibatch


class Draws(Protocol):
    """How slots are drawn."""

    def mass(self, size: int) -> float:
        """What the chance of the first ``size`` slots together is in proportion to."""

    def put(self, slots: np.ndarray, errors: np.ndarray | None) -> None:
        """Slots [M] hold new transitions, whose temporal differences are known or not."""

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, int], correction: float, share: Share
    ) -> Drawn:
        """Of a sample in a shape [U, B] what falls on this buffer."""

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        """What is known at all, and of each of the first ``size`` slots."""

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        """Put it back, for slots 0, 1, 2, ..."""


class Uniform:
    """Every slot alike."""

    def mass(self, size: int) -> float:
        return float(size)

    def put(self, slots: np.ndarray, errors: np.ndarray | None) -> None:
        """Nothing is known of a slot."""

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, int], correction: float, share: Share
    ) -> Drawn:
        del correction
        return Drawn(*share.own(rng.integers(0, share.size, shape)), {})

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        del size
        return {}, {}

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        """Nothing was saved."""


class Proportional:
    """By p = (|temporal difference| + ``floor``)^``exponent`` (Schaul et al. 2016, 1511.05952, equation 1).

    A minibatch has one transition from each of B stretches of equal weight (appendix B.2.1) and weights
    (1 / (N p / sum p))^correction, divided by the largest of the minibatch (section 3.4). A new transition
    without a temporal difference gets the largest priority so far. Where masses of shards are not of this
    moment, weights are by the chances that draws really had.
    """

    def __init__(self, capacity: int, exponent: float, floor: float = 1e-6) -> None:
        self.exponent, self.floor = exponent, floor
        self.tree = SumTree(capacity)
        self.largest = 1.0
        self.serials = np.full(capacity, -1, np.int64)  # which transition is in each slot
        self.stored = 0

    def mass(self, size: int) -> float:
        del size
        return self.tree.total

    def put(self, slots: np.ndarray, errors: np.ndarray | None) -> None:
        self.serials[slots] = np.arange(self.stored, self.stored + len(slots))
        self.stored += len(slots)
        if errors is None:
            self.tree.put(slots, np.full(len(slots), self.largest))
        else:
            self._set(slots, errors)

    def update(self, slots: np.ndarray, serials: np.ndarray, errors: np.ndarray) -> int:
        """New temporal differences [M]; returns how many were left out, of what is overwritten by now."""
        known = self.serials[slots] == serials
        self._set(slots[known], errors[known])
        return int(len(slots) - np.count_nonzero(known))

    def draw(
        self, rng: np.random.Generator, shape: tuple[int, int], correction: float, share: Share
    ) -> Drawn:
        total = sum(share.masses)
        points = (np.arange(shape[1]) + rng.random(shape)) * (total / shape[1])
        where, own = share.own(points)
        mine = share.masses[share.index]
        slots = self.tree.find(own if mine == self.tree.total else own * (self.tree.total / mine))
        odds = share.size * (mine / total) * self.tree.weights(slots) / self.tree.total
        return Drawn(where, slots, {WEIGHT: odds**-correction, SLOT: slots, SERIAL: self.serials[slots]})

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        leaves = {PRIORITY: self.tree.weights(np.arange(size)), SERIAL: self.serials[:size].copy()}
        return {"largest": self.largest, "stored": self.stored}, leaves

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        slots = np.arange(len(leaves.get(PRIORITY, ())))
        self.tree.nodes[:], self.serials[:] = 0.0, -1
        if len(slots):
            self.tree.put(slots, leaves[PRIORITY])
            self.serials[slots] = leaves[SERIAL]
        self.largest, self.stored = document["largest"], document["stored"]

    def _set(self, slots: np.ndarray, errors: np.ndarray) -> None:
        priorities = (np.abs(errors.astype(np.float64)) + self.floor) ** self.exponent
        self.largest = max(self.largest, float(priorities.max(initial=0.0)))
        self.tree.put(slots, priorities)
