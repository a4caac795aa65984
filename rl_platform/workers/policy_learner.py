"""Everything that is learned of one policy, and the kinds of optimizer steps that learn it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.policy import Heads, Knobs, Policy
from rl_platform.models.scored_actions import has_scores
from rl_platform.workers.autograd_step import AutogradStep, Precision
from rl_platform.workers.dense_step import DenseStep
from rl_platform.workers.objective import ClosedForm, Loss, Objective, standardized_by
from rl_platform.workers.optimizer import FlatOptimizer, Optimizer
from rl_platform.workers.ranks import ONE_RANK, Ranks
from rl_platform.workers.reassessment import Assessment

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Learning:
    """What an algorithm wants of the learner for each policy."""

    optimizer: Optimizer
    target: bool = False  # keep a second set of parameters, moved by `Learner.update_target`


class Step(Protocol):
    """How the gradient of one minibatch is found, and the kind of arrays that it takes."""

    def columns(self, tree: Tree) -> dict[str, Any]:
        """Numpy columns as this step takes them."""

    def take(self, columns: dict[str, Any], index: np.ndarray, axis: int = 0) -> dict[str, Any]:
        """These rows of such columns."""

    def of_target(self, columns: dict[str, Any], knobs: Knobs) -> Heads:
        """Heads of the target parameters for the observations afterwards; columns [N, ...]."""

    def assess(self, batch: Tree, knobs: Knobs, of_target: bool) -> Assessment:
        """What the parameters, or the target's, say of actions and observations in numpy."""

    def gradient(self, batch: dict[str, Any], knobs: Knobs) -> dict[str, Any]:
        """Write the gradient of a minibatch into the learner's. Returns statistics with ``loss``."""


class PolicyLearner:
    """Parameters, gradients, moments and target of one policy; the flat vectors are torch tensors [size]."""

    def __init__(
        self,
        policy: Policy,
        learning: Learning,
        seed: int,
        device: str,
        precision: Precision = "float32",
        ranks: Ranks = ONE_RANK,
    ) -> None:
        import torch

        self.policy, self.seed, self.draws, self.precision = policy, seed, 0, precision
        self.ranks = ranks
        self.flat = torch.from_numpy(policy.layout.initial(seed)).to(device)
        self.gradient = torch.zeros_like(self.flat)
        self.params = _trainable_views(policy, self.flat, self.gradient)
        self.target_flat = self.flat.clone() if learning.target else None
        self.optimizer = FlatOptimizer(self.flat, self.gradient, learning.optimizer)
        self._steps: dict[tuple[Objective, bool], Step] = {}

    def step(self, objective: Objective, of_rows: bool = False) -> Step:
        """The fastest kind of step that can minimise it; the same one each time.

        ``of_rows``: what it says of every row is wanted.
        """
        key = objective, of_rows
        if key not in self._steps:
            self._steps[key] = self._new_step(*key)
        return self._steps[key]

    def descend(
        self, step: Step, batch: dict[str, Any] | None, knobs: Knobs, share: float = 1.0
    ) -> dict[str, Any]:
        """One optimizer step. Returns the objective's statistics with ``loss`` and ``gradient_norm``.

        ``batch`` holds this ``share`` of a minibatch's rows, None where it has none of them. The gradients of
        all ranks add up to the minibatch's before it is clipped; statistics are those of the batch.
        """
        if batch is None:
            self.gradient.zero_()
        stats = {} if batch is None else step.gradient(batch, knobs)
        if self.ranks.count > 1:
            self.gradient.mul_(share)
            self.ranks.sum(self.gradient)
        return {**stats, "gradient_norm": self.optimizer.step(float(knobs["learning_rate"]))}

    def _new_step(self, objective: Objective, of_rows: bool) -> Step:
        dense, flat, gradient, target = self.policy.dense, self.flat, self.gradient, self.target_flat
        closed_form = _closed_form(self.policy, objective)
        # What several ranks share is standardised before it is shared out.
        standardize = standardized_by(objective) if self.ranks.count == 1 else ()
        plain = flat.device.type == "cpu" and self.precision == "float32"
        if plain and dense is not None and closed_form is not None:
            aim = None if target is None else target.numpy()
            return DenseStep(
                self.policy, dense, flat.numpy(), gradient.numpy(), aim, closed_form, standardize
            )
        return AutogradStep(
            self.policy, self.params, gradient, target, objective, self.precision, standardize, of_rows
        )


class GradientStep:
    """The fastest step of a policy on the CPU, over memory of its own and without an optimizer."""

    def __init__(self, policy: Policy, objective: Objective) -> None:
        self.policy = policy
        self.flat, self.gradient = np.zeros((2, policy.layout.size), np.float32)
        self.step = self._step(objective)

    def _step(self, objective: Objective) -> Step:
        dense, closed_form = self.policy.dense, _closed_form(self.policy, objective)
        standardize = standardized_by(objective)
        if dense is not None and closed_form is not None:
            return DenseStep(self.policy, dense, self.flat, self.gradient, None, closed_form, standardize)
        import torch

        flat, gradient = torch.from_numpy(self.flat), torch.from_numpy(self.gradient)
        params = _trainable_views(self.policy, flat, gradient)
        return AutogradStep(self.policy, params, gradient, None, objective, standardize=standardize)


def _closed_form(policy: Policy, objective: Objective) -> ClosedForm | None:
    """The objective's, where gradients at the policy's heads are known without autograd."""
    if not isinstance(objective, Loss):
        return None
    scored = has_scores(policy.distribution) or not policy.distribution.stochastic
    return objective.closed_form if scored else None


def _trainable_views(policy: Policy, flat: torch.Tensor, gradient: torch.Tensor) -> dict[str, torch.Tensor]:
    """Leaf views of the flat vector whose gradients accumulate in views of the flat gradient."""
    gradients = policy.layout.views(gradient)
    views: dict[str, torch.Tensor] = {}
    for path, view in policy.layout.views(flat).items():
        leaf: torch.Tensor = view.detach().requires_grad_()
        leaf.grad = gradients[path]
        views[path] = leaf
    return views
