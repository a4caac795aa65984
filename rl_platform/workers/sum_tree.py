"""Drawing slots in proportion to their weights: a complete binary tree of sums (Schaul et al. 2016,
1511.05952, appendix B.2.1), whole batches of draws and updates level by level.
"""

from __future__ import annotations

import numpy as np


class SumTree:
    """Weights of ``capacity`` slots, float64; node i has the children 2 i and 2 i + 1, the root is 1."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.leaves = capacity, 1 << max(0, capacity - 1).bit_length()
        self.nodes = np.zeros(2 * self.leaves, np.float64)

    @property
    def total(self) -> float:
        return float(self.nodes[1])

    def weights(self, slots: np.ndarray) -> np.ndarray:
        """Of these slots, in their shape."""
        found: np.ndarray = self.nodes[slots + self.leaves]
        return found

    def put(self, slots: np.ndarray, weights: np.ndarray) -> None:
        """Set weights >= 0 of slots [M]; of a slot that is there twice, the last one counts."""
        node = slots + self.leaves
        self.nodes[node] = weights
        for _ in range(self.leaves.bit_length() - 1):
            node = node >> 1
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def find(self, points: np.ndarray) -> np.ndarray:
        """The slots whose stretch of [0, total) the points lie in, in their shape. Never one of weight 0.

        Raises ValueError while all weights are 0.
        """
        if not self.total > 0:
            raise ValueError("no slot has a weight above 0: there is nothing to draw")
        node = np.ones(points.shape, np.int64)
        left = points.astype(np.float64)
        for _ in range(self.leaves.bit_length() - 1):
            node *= 2
            lower = self.nodes[node]
            # Rounding may lead beyond the last stretch: then there is nothing on the right.
            right = (left >= lower) & (self.nodes[node + 1] > 0)
            left -= np.where(right, lower, 0.0)
            node += right
        return node - self.leaves
