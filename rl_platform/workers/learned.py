"""What came of learning from a batch, or from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rl_platform.data.tree import Tree


class Learned(NamedTuple):
    """At one learner, or at one rank of several."""

    steps: int  # of the optimizer
    stats: dict[str, float]  # means over minibatches; at one of several ranks, its part of them
    rows: Tree  # [U, B] what the objective says of every row of samples


def together(parts: Sequence[Learned]) -> Learned:
    """What the ranks have learned, in their order: parts of means add up, and of each sample's rows the ranks
    had every so-manieth in turns.
    """
    stats: dict[str, float] = {}
    for part in parts:
        for name, value in part.stats.items():
            stats[name] = stats.get(name, 0.0) + value
    rows: Tree = {}
    for name, first in parts[0].rows.items():
        leaves = [part.rows[name] for part in parts if name in part.rows]
        rows[name] = np.empty((len(first), sum(leaf.shape[1] for leaf in leaves)), first.dtype)
        for rank, leaf in enumerate(leaves):
            rows[name][:, rank :: len(parts)] = leaf
    return Learned(parts[0].steps, stats, rows)
