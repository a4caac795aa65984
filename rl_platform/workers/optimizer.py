"""Adam over one flat vector: a step is a handful of tensor operations, however many layers there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rl_platform.data.tree import Tree

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Optimizer:
    """Adam (Kingma and Ba 2015, 1412.6980) as an algorithm asks for it; the learner owns the moments."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_grad_norm: float | None = None


class FlatOptimizer:
    """Moments of one flat parameter vector, and the step that uses them."""

    def __init__(self, flat: torch.Tensor, gradient: torch.Tensor, config: Optimizer) -> None:
        self.config, self.flat, self.gradient = config, flat, gradient
        self.first = flat.new_zeros(flat.shape)
        self.second = flat.new_zeros(flat.shape)
        self.scale = flat.new_empty(
            flat.shape
        )  # written anew in each step, kept so that nothing is allocated
        self.steps = 0

    def step(self, learning_rate: float) -> torch.Tensor:
        """Clip, step; returns the gradient norm before clipping (a tensor, so that nobody waits for it)."""
        import torch

        config = self.config
        norm: torch.Tensor = torch.linalg.vector_norm(self.gradient)
        if config.max_grad_norm is not None:
            self.gradient.mul_((config.max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        self.steps += 1
        self.first.lerp_(self.gradient, 1 - config.beta1)
        self.second.mul_(config.beta2).addcmul_(self.gradient, self.gradient, value=1 - config.beta2)
        correction = (1 - config.beta2**self.steps) ** 0.5
        scale = torch.sqrt(self.second, out=self.scale).div_(correction).add_(config.epsilon)
        self.flat.addcdiv_(self.first, scale, value=-learning_rate / (1 - config.beta1**self.steps))
        return norm

    def snapshot(self) -> Tree:
        return {
            "first": self.first.cpu().numpy().copy(),
            "second": self.second.cpu().numpy().copy(),
            "steps": np.array([self.steps]),
        }

    def restore(self, arrays: Tree) -> None:
        import torch

        self.first.copy_(torch.from_numpy(arrays["first"]))
        self.second.copy_(torch.from_numpy(arrays["second"]))
        self.steps = int(arrays["steps"][0])
