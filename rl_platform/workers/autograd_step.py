"""Optimizer steps of any network on any device: torch differentiates the objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.policy import Heads, Knobs, Policy
from rl_platform.workers.objective import Batch, Objective, Params
from rl_platform.workers.optimizer import FlatOptimizer

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
"""Of matrix products."""


class AutogradStep:
    """See `Step`. Batches are tensors on the device of the parameters."""

    def __init__(
        self,
        policy: Policy,
        params: Params,
        optimizer: FlatOptimizer,
        target: torch.Tensor | None,
        objective: Objective,
        precision: Precision = "float32",
    ) -> None:
        self.policy, self.params, self.optimizer, self.objective = policy, params, optimizer, objective
        self.device, self.precision = optimizer.flat.device, precision
        self.target = None if target is None else policy.layout.views(target)

    def columns(self, tree: Tree) -> Batch:
        """Numpy columns as this step takes them."""
        import torch

        return {
            name: torch.from_numpy(np.ascontiguousarray(leaf)).to(self.device) for name, leaf in tree.items()
        }

    def take(self, columns: Batch, index: np.ndarray, axis: int = 0) -> Batch:
        """These rows of such columns."""
        import torch

        where = torch.from_numpy(index).to(self.device)
        return {name: leaf.index_select(axis, where) for name, leaf in columns.items()}

    def of_target(self, columns: Batch, knobs: Knobs) -> Heads:
        """Heads of the target parameters for the observations afterwards; columns [N, ...]."""
        import torch

        assert self.target is not None
        with torch.no_grad(), self._mixed():
            return self.policy.heads(self.target, columns, knobs, "next/")

    def __call__(self, batch: Batch, knobs: Knobs) -> dict[str, torch.Tensor | float]:
        """One optimizer step. Returns the objective's statistics with ``loss`` and ``gradient_norm``."""
        self.optimizer.gradient.zero_()
        with self._mixed():
            loss, stats = self.objective(self.policy, self.params, self.target, batch, knobs)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        norm = self.optimizer.step(float(knobs["learning_rate"]))
        return {**stats, "loss": loss.detach(), "gradient_norm": norm}

    def _mixed(self) -> torch.autocast:
        """Matrix products in bfloat16 where that is wanted; parameters, losses and moments stay float32."""
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")
