"""Gradients where the data is: a worker sends what each trajectory comes down to, and keeps the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.models.policy import Policy
from rl_platform.workers.fragment import Fragment, fetched
from rl_platform.workers.minibatches import rows, sequence_batch, sequences
from rl_platform.workers.objective import Objective
from rl_platform.workers.policy_learner import GradientStep


@dataclass(frozen=True, slots=True)
class WorkerGradient:
    """It stands where the trajectory was that it was computed from, with the weights that sampled it."""

    policy: str
    version: int
    source: int
    sequence: int
    steps: int  # agent steps it is the mean of
    flat: np.ndarray  # f32 [size]; [0] for a policy that is not trained, or where there were no steps
    stats: dict[str, float]


class Differentiator:
    """What a worker does with its fragments: the gradient of an objective of all rows of each trajectory.

    Dense networks with a loss in closed form need no torch for it.
    """

    def __init__(
        self, policies: Mapping[str, Policy], trained: Sequence[str], objective: Objective, *recipe: DataFn
    ) -> None:
        self.policies, self.trained = dict(policies), tuple(trained)
        self.objective, self.recipe = objective, recipe
        self._steps: dict[str, GradientStep] = {}
        self._knobs: dict[str, Mapping[str, Any]] = {}

    def load(self, policy: str, weights: np.ndarray, knobs: Mapping[str, Any]) -> None:
        """What the next fragments are sampled with."""
        if policy not in self.trained:
            return
        if policy not in self._steps:
            self._steps[policy] = GradientStep(self.policies[policy], self.objective)
        self._steps[policy].flat[:] = weights
        self._knobs[policy] = dict(knobs)

    def __call__(self, fragment: Fragment) -> Fragment:
        """The fragment with gradients in place of its trajectories."""
        gradients: dict[str, Any] = {
            policy: self._gradient(fetched(trajectory))
            for policy, trajectory in fragment.trajectories.items()
        }
        return replace(fragment, trajectories=gradients)

    def _gradient(self, of: Trajectory) -> WorkerGradient:
        flat, stats = np.zeros(0, np.float32), {}
        if of.policy in self.trained and of.steps:
            mine, knobs = self._steps[of.policy], self._knobs[of.policy]
            said = mine.step.gradient(self._batch(mine, of, knobs), knobs)
            flat = mine.gradient.copy()
            stats = {name: float(value) for name, value in said.items()}
        return WorkerGradient(of.policy, of.version, of.source, of.sequence, of.steps, flat, stats)

    def _batch(self, mine: GradientStep, of: Trajectory, knobs: Mapping[str, Any]) -> dict[str, Any]:
        columns = mine.step.columns
        if not mine.policy.recurrent:
            return columns(rows([of], self.recipe, knobs))
        steps, states = sequences([of], self.recipe, knobs)
        return sequence_batch(columns(steps), columns(states))
