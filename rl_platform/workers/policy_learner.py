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
from rl_platform.workers.objective import Loss, Objective
from rl_platform.workers.optimizer import FlatOptimizer, Optimizer
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
        self, policy: Policy, learning: Learning, seed: int, device: str, precision: Precision = "float32"
    ) -> None:
        import torch

        self.policy, self.seed, self.draws, self.precision = policy, seed, 0, precision
        self.flat = torch.from_numpy(policy.layout.initial(seed)).to(device)
        self.gradient = torch.zeros_like(self.flat)
        self.params = _trainable_views(policy, self.flat, self.gradient)
        self.target_flat = self.flat.clone() if learning.target else None
        self.optimizer = FlatOptimizer(self.flat, self.gradient, learning.optimizer)
        self._steps: dict[Objective, Step] = {}

    def step(self, objective: Objective) -> Step:
        """The fastest kind of step that can minimise it; the same one each time."""
        if objective not in self._steps:
            self._steps[objective] = self._new_step(objective)
        return self._steps[objective]

    def descend(self, step: Step, batch: dict[str, Any], knobs: Knobs) -> dict[str, Any]:
        """One optimizer step. Returns the objective's statistics with ``loss`` and ``gradient_norm``."""
        stats = step.gradient(batch, knobs)
        return {**stats, "gradient_norm": self.optimizer.step(float(knobs["learning_rate"]))}

    def _new_step(self, objective: Objective) -> Step:
        dense, flat, gradient, target = self.policy.dense, self.flat, self.gradient, self.target_flat
        plain = flat.device.type == "cpu" and self.precision == "float32"
        if plain and dense is not None and isinstance(objective, Loss) and _is_scored(self.policy):
            aim = None if target is None else target.numpy()
            return DenseStep(self.policy, dense, flat.numpy(), gradient.numpy(), aim, objective.closed_form)
        return AutogradStep(self.policy, self.params, gradient, target, objective, self.precision)


class GradientStep:
    """The fastest step of a policy on the CPU, over memory of its own and without an optimizer."""

    def __init__(self, policy: Policy, objective: Objective) -> None:
        self.policy = policy
        self.flat, self.gradient = np.zeros((2, policy.layout.size), np.float32)
        self.step = self._step(objective)

    def _step(self, objective: Objective) -> Step:
        dense = self.policy.dense
        if dense is not None and isinstance(objective, Loss) and _is_scored(self.policy):
            return DenseStep(self.policy, dense, self.flat, self.gradient, None, objective.closed_form)
        import torch

        flat, gradient = torch.from_numpy(self.flat), torch.from_numpy(self.gradient)
        params = _trainable_views(self.policy, flat, gradient)
        return AutogradStep(self.policy, params, gradient, None, objective)


def _is_scored(policy: Policy) -> bool:
    """Whether gradients at its heads are known without autograd."""
    return has_scores(policy.distribution) or not policy.distribution.stochastic


def _trainable_views(policy: Policy, flat: torch.Tensor, gradient: torch.Tensor) -> dict[str, torch.Tensor]:
    """Leaf views of the flat vector whose gradients accumulate in views of the flat gradient."""
    gradients = policy.layout.views(gradient)
    views: dict[str, torch.Tensor] = {}
    for path, view in policy.layout.views(flat).items():
        leaf: torch.Tensor = view.detach().requires_grad_()
        leaf.grad = gradients[path]
        views[path] = leaf
    return views
