"""What minibatches are drawn of: independent rows, or whole sequences for recurrent policies.

Shape legend: N rows, S rows of a sequence, Q sequences, M units: N or Q.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs
from rl_platform.workers import minibatches

if TYPE_CHECKING:
    from rl_platform.workers.policy_learner import Step

Columns = dict[str, Any]
"""Numpy arrays or tensors, as the step takes them."""


class Units(Protocol):
    """All units of some trajectories."""

    total: int
    length: int  # rows of a unit, padding included
    counts: list[int]  # units of each trajectory

    def batches(self, chosen: Sequence[np.ndarray]) -> Iterator[Columns]:
        """A minibatch of each of these choices of units."""

    def rows(self) -> np.ndarray:
        """Valid rows of each unit, [M]."""

    def spread(self, name: str) -> np.ndarray:
        """Mean of a column in each unit, and the sum of squared deviations from it: [M, 2]."""


class RowUnits:
    """See `Units`."""

    length = 1

    def __init__(
        self, step: Step, trajectories: Sequence[Trajectory], recipe: Sequence[DataFn], knobs: Knobs
    ) -> None:
        told = minibatches.rows(trajectories, recipe, knobs) if trajectories else {}
        self.step, self.columns = step, step.columns(told)
        self.counts = [trajectory.steps for trajectory in trajectories]
        self.total = sum(self.counts)
        self._told: Tree = told

    def batches(self, chosen: Sequence[np.ndarray]) -> Iterator[Columns]:
        mixed = self.step.take(self.columns, np.concatenate(chosen))
        for begin, end in pairwise(accumulate(map(len, chosen), initial=0)):
            yield {name: leaf[begin:end] for name, leaf in mixed.items()}

    def rows(self) -> np.ndarray:
        return np.ones(self.total)

    def spread(self, name: str) -> np.ndarray:
        leaf = self._told[name] if self.total else np.zeros(0)
        return np.stack([leaf, np.zeros(self.total)], axis=1)


class SequenceUnits:
    """See `Units`."""

    def __init__(
        self, step: Step, trajectories: Sequence[Trajectory], recipe: Sequence[DataFn], knobs: Knobs
    ) -> None:
        steps, states = minibatches.sequences(trajectories, recipe, knobs) if trajectories else ({}, {})
        self.step, self.columns, self.state = step, step.columns(steps), step.columns(states)
        self.counts = [minibatches.sequences_of(trajectory) for trajectory in trajectories]
        self.total = sum(self.counts)
        self.length = len(steps["valid"]) if trajectories else 0
        self._told: Tree = steps

    def batches(self, chosen: Sequence[np.ndarray]) -> Iterator[Columns]:
        for each in chosen:
            steps = self.step.take(self.columns, each, axis=1)
            yield minibatches.sequence_batch(steps, self.step.take(self.state, each))

    def rows(self) -> np.ndarray:
        return self._told["valid"].sum(axis=0) if self.total else np.zeros(0)

    def spread(self, name: str) -> np.ndarray:
        if not self.total:
            return np.zeros((0, 2))
        valid, leaf = self._told["valid"], self._told[name].astype(np.float64)
        mean = np.where(valid, leaf, 0).sum(axis=0) / valid.sum(axis=0)
        return np.stack([mean, np.where(valid, np.square(leaf - mean), 0).sum(axis=0)], axis=1)
