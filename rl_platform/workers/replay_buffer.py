"""A replay buffer: a ring of independent transitions (Lin 1992), one array per column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.workers.replay_draws import (
    PRIORITY,
    SERIAL,
    SLOT,
    WEIGHT,
    Draws,
    Proportional,
    Share,
    Uniform,
)

Part = tuple[np.ndarray, Tree]
"""Positions [N] in a flattened sample [U, B], and their columns [N, ...]."""


class ReplayBuffer:
    """Holds the newest ``capacity`` transitions; ``drawing`` says how samples are drawn, uniformly if absent.

    What it draws depends on (seed, number of draws so far) and on priorities alone.
    """

    def __init__(self, capacity: int, seed: int, drawing: Draws | None = None) -> None:
        self.capacity, self.seed = capacity, seed
        self.drawing: Draws = drawing or Uniform()
        self.columns: Tree = {}
        self.size = 0
        self.head = 0  # where the next transition goes
        self.added = 0
        self.draws = 0

    def add(self, transitions: Tree) -> None:
        """Append transitions [M, ...], overwriting the oldest. Columns must be those of the first call.

        Their column ``replay/priority`` goes to the draws.
        """
        errors = transitions.get(PRIORITY)
        transitions = {name: leaf for name, leaf in transitions.items() if name != PRIORITY}
        count = len(next(iter(transitions.values())))
        if not self.columns:
            self.columns = {
                name: np.zeros((self.capacity, *leaf.shape[1:]), leaf.dtype)
                for name, leaf in transitions.items()
            }
        kept = min(count, self.capacity)
        first = min(kept, self.capacity - self.head)
        for name, leaf in transitions.items():
            newest = leaf[count - kept :]
            self.columns[name][self.head : self.head + first] = newest[:first]
            self.columns[name][: kept - first] = newest[first:]
        slots = (self.head + np.arange(kept)) % self.capacity
        self.drawing.put(slots, None if errors is None else errors[count - kept :])
        self.head = (self.head + kept) % self.capacity
        self.size = min(self.size + kept, self.capacity)
        self.added += count

    def sample(self, minibatches: int, batch_size: int, correction: float = 0.0) -> Tree:
        """Draws with replacement: [minibatches, batch_size, ...]. Raises ValueError while empty.

        ``correction``: the exponent of importance weights, where not all transitions are drawn alike.
        """
        if not self.size:
            raise ValueError("the replay buffer is empty: nothing was stored before the first sample")
        self.draws += 1
        shape, share = (minibatches, batch_size), Share((self.mass,), self.size)
        return joined(shape, [self.part(self.draws, shape, correction, share)])

    def part(self, number: int, shape: tuple[int, int], correction: float, share: Share) -> Part:
        """What falls on this buffer of sample ``number``, which is in a shape [U, B]."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, number]))
        where, slots, more = self.drawing.draw(rng, shape, correction, share)
        return where, {name: leaf.take(slots, axis=0) for name, leaf in self.columns.items()} | more

    @property
    def mass(self) -> float:
        """See `Draws.mass`."""
        return self.drawing.mass(self.size)

    def update_priorities(self, sample: Tree, errors: np.ndarray) -> int:
        """New temporal differences [U, B] of what was drawn; returns how many came too late to count."""
        assert isinstance(self.drawing, Proportional), "only prioritised draws have priorities"
        flat = (sample[SLOT].reshape(-1), sample[SERIAL].reshape(-1), errors.reshape(-1))
        return self.drawing.update(*flat)

    @property
    def nbytes(self) -> int:
        return sum(leaf.nbytes for leaf in self.columns.values())

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """Position and the filled part of each column."""
        position = {"size": self.size, "head": self.head, "added": self.added, "draws": self.draws}
        more, leaves = self.drawing.snapshot(self.size)
        return position | more, {n: leaf[: self.size].copy() for n, leaf in self.columns.items()} | leaves

    def restore(self, position: dict[str, Any], columns: Tree) -> None:
        """Put a snapshot back. Raises ValueError where it does not fit the capacity."""
        if position["size"] > self.capacity:
            raise ValueError(
                f"the checkpoint's replay buffer holds {position['size']} transitions, "
                f"and there is room for {self.capacity}: restore with a larger bufferSize, or without the "
                "replay buffer"
            )
        head, size = position["head"], position["size"]
        if head != size and size < self.capacity:  # it was full and is smaller than this one: oldest first
            columns = {name: np.roll(leaf, -head, axis=0) for name, leaf in columns.items()}
            head = size
        apart = (PRIORITY, SERIAL)
        self.drawing.restore(position, {name: columns[name] for name in apart if name in columns})
        columns = {name: leaf for name, leaf in columns.items() if name not in apart}
        self.columns = {
            name: np.concatenate([leaf, np.zeros((self.capacity - len(leaf), *leaf.shape[1:]), leaf.dtype)])
            for name, leaf in columns.items()
        }
        self.size, self.head = size, head % self.capacity
        self.added, self.draws = position["added"], position["draws"]


def joined(shape: tuple[int, int], parts: Sequence[Part]) -> Tree:
    """A sample [U, B, ...] of the parts that buffers gave; weights are at most 1 in each minibatch."""
    filled = [(where, columns) for where, columns in parts if len(where)]
    first, whole = filled[0][1], len(filled) == 1
    sample: Tree = {}
    for name, leaf in first.items():
        flat = leaf if whole else np.empty((shape[0] * shape[1], *leaf.shape[1:]), leaf.dtype)
        for where, columns in filled if not whole else ():
            flat[where] = columns[name]
        sample[name] = flat.reshape(*shape, *leaf.shape[1:])
    if WEIGHT in sample:
        weight = sample[WEIGHT]
        sample[WEIGHT] = (weight / weight.max(axis=1, keepdims=True)).astype(np.float32)
    return sample
