"""A uniform replay buffer: a ring of independent transitions (Lin 1992), one array per column."""

from __future__ import annotations

import numpy as np

from rl_platform.data.tree import Tree


class ReplayBuffer:
    """Holds the newest ``capacity`` transitions. Draws depend on (seed, number of draws so far) alone."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity, self.seed = capacity, seed
        self.columns: Tree = {}
        self.size = 0
        self.head = 0  # where the next transition goes
        self.added = 0
        self.draws = 0

    def add(self, transitions: Tree) -> None:
        """Append transitions [M, ...], overwriting the oldest. Columns must be those of the first call."""
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
        self.head = (self.head + kept) % self.capacity
        self.size = min(self.size + kept, self.capacity)
        self.added += count

    def sample(self, minibatches: int, batch_size: int) -> Tree:
        """Uniform draws with replacement: [minibatches, batch_size, ...]. Raises ValueError while empty."""
        if not self.size:
            raise ValueError("the replay buffer is empty: nothing was stored before the first sample")
        self.draws += 1
        rng = np.random.Generator(np.random.Philox(key=[self.seed, self.draws]))
        index = rng.integers(0, self.size, (minibatches, batch_size))
        return {name: leaf.take(index, axis=0) for name, leaf in self.columns.items()}

    @property
    def nbytes(self) -> int:
        return sum(leaf.nbytes for leaf in self.columns.values())

    def snapshot(self) -> tuple[dict[str, int], Tree]:
        """Position and the filled part of each column."""
        position = {"size": self.size, "head": self.head, "added": self.added, "draws": self.draws}
        return position, {name: leaf[: self.size].copy() for name, leaf in self.columns.items()}

    def restore(self, position: dict[str, int], columns: Tree) -> None:
        """Put a snapshot back. Raises ValueError where it does not fit the capacity."""
        if position["size"] > self.capacity:
            raise ValueError(
                f"the checkpoint's replay buffer holds {position['size']} transitions, "
                f"bufferSize is {self.capacity}: "
                "restore with at least that bufferSize, or without the replay buffer"
            )
        head, size = position["head"], position["size"]
        if head != size and size < self.capacity:  # it was full and is smaller than this one: oldest first
            columns = {name: np.roll(leaf, -head, axis=0) for name, leaf in columns.items()}
            head = size
        self.columns = {
            name: np.concatenate([leaf, np.zeros((self.capacity - len(leaf), *leaf.shape[1:]), leaf.dtype)])
            for name, leaf in columns.items()
        }
        self.size, self.head = size, head % self.capacity
        self.added, self.draws = position["added"], position["draws"]
