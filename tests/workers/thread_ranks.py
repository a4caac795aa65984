"""Ranks of one learner in threads of this process, and a learner that is checked against one by itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import torch

from rl_platform.workers.learned import Learned, together
from rl_platform.workers.learner import Learner
from rl_platform.workers.shares import dealt

SECONDS = 60.0


class Table:
    """Where the ranks lay down what they have."""

    def __init__(self, count: int) -> None:
        self.barrier = Barrier(count, timeout=SECONDS)
        self.laid: list[Any] = [None] * count


class ThreadRank:
    """See `Ranks`."""

    def __init__(self, rank: int, table: Table) -> None:
        self.rank, self.count, self.table = rank, len(table.laid), table

    def sum(self, array: Any) -> None:
        tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
        self.table.laid[self.rank] = tensor.clone()
        self.table.barrier.wait()
        total = sum(self.table.laid[1:], self.table.laid[0])
        self.table.barrier.wait()
        tensor.copy_(total)


class InThreads:
    """Has the methods of `Learner`, as a `RemoteLearner` has them."""

    def __init__(self, like: Learner, learning: Any, seed: int, count: int) -> None:
        table = Table(count)
        self.policies = dict(like.policies)
        self.ranks = [
            Learner(like.policies, like.trained, learning, seed, ranks=ThreadRank(rank, table))
            for rank in range(count)
        ]
        self.pool = ThreadPoolExecutor(count)

    def update(self, policy: str, trajectories: Sequence[Any], *arguments: Any) -> Learned:
        holders = dealt(len(trajectories), len(self.ranks))

        def learn(rank: int) -> Learned:
            held = [
                trajectory if holder in (rank, None) else None
                for trajectory, holder in zip(trajectories, holders, strict=True)
            ]
            return self.ranks[rank].update(policy, held, *arguments)

        return together(list(self.pool.map(learn, range(len(self.ranks)))))

    def update_on_samples(self, *arguments: Any) -> Learned:
        return together(list(self.pool.map(lambda rank: rank.update_on_samples(*arguments), self.ranks)))

    def __getattr__(self, name: str) -> Any:
        def each(*arguments: Any) -> Any:
            return next(iter(list(self.pool.map(lambda rank: getattr(rank, name)(*arguments), self.ranks))))

        return each


class Beside:
    """A learner by itself that the plan sees, and one of several ranks that learns from the same data.

    ``differences``: after each update, how far apart the weights are; statistics must agree. ``arguments``:
    of the last update.
    """

    def __init__(self, alone: Learner, ranks: Any) -> None:
        self.alone, self.ranks, self.policies = alone, ranks, alone.policies
        self.differences: list[float] = []
        self.arguments: tuple[Any, ...] = ()

    def update(self, policy: str, *arguments: Any) -> Learned:
        return self._compared("update", policy, *arguments)

    def update_on_samples(self, policy: str, *arguments: Any) -> Learned:
        return self._compared("update_on_samples", policy, *arguments)

    def weights(self, policy: str) -> np.ndarray:
        return self.alone.weights(policy)

    def __getattr__(self, name: str) -> Any:
        def both(policy: str, *arguments: Any) -> Any:
            said = getattr(self.alone, name)(policy, *arguments)
            getattr(self.ranks, name)(policy, *arguments)
            return said

        return both

    def _compared(self, name: str, policy: str, *arguments: Any) -> Learned:
        self.arguments = arguments
        one: Learned = getattr(self.alone, name)(policy, *arguments)
        other: Learned = getattr(self.ranks, name)(policy, *arguments)
        assert other.steps == one.steps
        assert other.stats.keys() == one.stats.keys()
        for stat, value in one.stats.items():
            np.testing.assert_allclose(other.stats[stat], value, rtol=2e-3, atol=2e-5, err_msg=stat)
        assert other.rows.keys() == one.rows.keys()
        for leaf, rows in one.rows.items():
            np.testing.assert_allclose(other.rows[leaf], rows, rtol=2e-3, atol=2e-4, err_msg=leaf)
        apart = self.alone.weights(policy) - self.ranks.weights(policy)
        self.differences.append(float(np.abs(apart).max()))
        return one
