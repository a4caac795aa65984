"""Adam over one flat vector: a step reads each vector once, however many layers there are."""

from __future__ import annotations

import math
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
        self.steps = 0
        self._count = flat.new_zeros(())  # the same number where the kernel reads it
        # On the CPU numpy does the small things: calling torch costs more than they take.
        self._host = gradient.numpy() if flat.device.type == "cpu" else None

    def step(self, learning_rate: float) -> float | torch.Tensor:
        """Clip, step; returns the gradient norm before clipping (off the CPU a tensor, to wait for nothing).

        The gradient is left as it was used.
        """
        import torch

        norm = self._clip() if self._host is None else self._clip_on_host(self._host)
        self.steps += 1
        # Where a relu is dead, first moments fade below 1e-38, to numbers a hundred times as slow.
        torch.set_flush_denormal(True)
        try:
            self._adam(learning_rate)
        finally:
            torch.set_flush_denormal(False)
        return norm

    def _clip_on_host(self, gradient: np.ndarray) -> float:
        limit = self.config.max_grad_norm
        norm = math.sqrt(gradient.dot(gradient))
        if limit is not None and norm + 1e-6 > limit:
            np.multiply(gradient, np.float32(limit / (norm + 1e-6)), out=gradient)
        return norm

    def _clip(self) -> torch.Tensor:
        import torch

        norm: torch.Tensor = torch.linalg.vector_norm(self.gradient)
        if self.config.max_grad_norm is not None:
            self.gradient.mul_((self.config.max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def _adam(self, learning_rate: float) -> None:
        """The kernel of torch.optim.Adam(fused=True), which reads each vector once, without its class."""
        import torch

        torch._fused_adam_(
            [self.flat],
            [self.gradient],
            [self.first],
            [self.second],
            [],
            [self._count.fill_(self.steps)],
            lr=learning_rate,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            weight_decay=0.0,
            eps=self.config.epsilon,
            amsgrad=False,
            maximize=False,
        )

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
