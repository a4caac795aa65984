"""Which slots of a replay buffer a sample is made of: all alike, or in proportion to their priorities.

Shape legend: U minibatches, B transitions of each, M transitions that are stored.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.workers.sum_tree import SumTree

REPLAY = "replay/"
"""Before the names of columns that only the replay buffer reads."""
PRIORITY = f"{REPLAY}priority"
"""Column of transitions that come with a priority of their own (a temporal difference, of any sign)."""
WEIGHT, SLOT, SERIAL = "weight", f"{REPLAY}slot", f"{REPLAY}serial"
"""Columns of a sample: importance weight, and whose priority is meant when it is learned from."""


class Draws(Protocol):
    """How slots are drawn."""

    def put(self, slots: np.ndarray, errors: np.ndarray | None) -> None:
        """Slots [M] hold new transitions, whose temporal differences are known or not."""

    def draw(
        self, rng: np.random.Generator, size: int, shape: tuple[int, int], correction: float
    ) -> tuple[np.ndarray, Tree]:
        """Slots below ``size`` in a shape [U, B], and columns that go with the sample."""

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        """What is known at all, and of each of the first ``size`` slots."""

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        """Put it back, for slots 0, 1, 2, ..."""


class Uniform:
    """Every slot alike."""

    def put(self, slots: np.ndarray, errors: np.ndarray | None) -> None:
        """Nothing is known of a slot."""

    def draw(
        self, rng: np.random.Generator, size: int, shape: tuple[int, int], correction: float
    ) -> tuple[np.ndarray, Tree]:
        del correction
        return rng.integers(0, size, shape), {}

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        del size
        return {}, {}

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        """Nothing was saved."""


class Proportional:
    """By p = (|temporal difference| + ``floor``)^``exponent`` (Schaul et al. 2016, 1511.05952, equation 1).

    A minibatch has one transition from each of B stretches of equal weight (appendix B.2.1) and weights
    (1 / (N p / sum p))^correction, divided by the largest of the minibatch (section 3.4). A new transition
    without a temporal difference gets the largest priority so far.
    """

    def __init__(self, capacity: int, exponent: float, floor: float = 1e-6) -> None:
        self.exponent, self.floor = exponent, floor
        self.tree = SumTree(capacity)
        self.largest = 1.0
        self.serials = np.full(capacity, -1, np.int64)  # which transition is in each slot
        self.stored = 0

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
        self, rng: np.random.Generator, size: int, shape: tuple[int, int], correction: float
    ) -> tuple[np.ndarray, Tree]:
        points = (np.arange(shape[1]) + rng.random(shape)) * (self.tree.total / shape[1])
        slots = self.tree.find(points)
        weight = (size * self.tree.weights(slots) / self.tree.total) ** -correction
        weight /= weight.max(axis=1, keepdims=True)
        columns = {WEIGHT: weight.astype(np.float32), SLOT: slots, SERIAL: self.serials[slots]}
        return slots, columns

    def snapshot(self, size: int) -> tuple[dict[str, Any], Tree]:
        leaves = {PRIORITY: self.tree.weights(np.arange(size)), SERIAL: self.serials[:size].copy()}
        return {"largest": self.largest, "stored": self.stored}, leaves

    def restore(self, document: dict[str, Any], leaves: Tree) -> None:
        slots = np.arange(len(leaves[PRIORITY]))
        self.tree.nodes[:] = 0.0
        self.tree.put(slots, leaves[PRIORITY])
        self.serials[:], self.serials[slots] = -1, leaves[SERIAL]
        self.largest, self.stored = document["largest"], document["stored"]

    def _set(self, slots: np.ndarray, errors: np.ndarray) -> None:
        priorities = (np.abs(errors.astype(np.float64)) + self.floor) ** self.exponent
        self.largest = max(self.largest, float(priorities.max(initial=0.0)))
        self.tree.put(slots, priorities)
