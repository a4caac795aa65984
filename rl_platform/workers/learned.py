"""What came of learning from a batch, or from samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rl_platform.data.tree import Tree


@dataclass(frozen=True, slots=True)
class RemoteRows:
    """Rows that stay at the ranks which learned them: a reference for each rank, in their order."""

    parts: tuple[Any, ...]


class Learned(NamedTuple):
    """At one learner, or at one rank of several."""

    steps: int  # of the optimizer
    stats: dict[str, float]  # means over minibatches; at one of several ranks, its part of them
    rows: Tree | RemoteRows  # [U, B] what the objective says of every row of samples


def together(parts: Sequence[Learned]) -> Learned:
    """What the ranks have learned, in their order: parts of means add up."""
    stats: dict[str, float] = {}
    for part in parts:
        for name, value in part.stats.items():
            stats[name] = stats.get(name, 0.0) + value
    rows = interleaved([part.rows for part in parts if not isinstance(part.rows, RemoteRows)])
    return Learned(parts[0].steps, stats, rows)


def interleaved(parts: Sequence[Tree]) -> Tree:
    """The rows of whole samples: of each, the ranks had every so-manieth in turns."""
    rows: Tree = {}
    for name, first in parts[0].items():
        leaves = [part[name] for part in parts if name in part]
        rows[name] = np.empty((len(first), sum(leaf.shape[1] for leaf in leaves)), first.dtype)
        for rank, leaf in enumerate(leaves):
            rows[name][:, rank :: len(parts)] = leaf
    return rows
