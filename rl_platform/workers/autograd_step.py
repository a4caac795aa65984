"""Optimizer steps of any network on any device: torch differentiates the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.policy import Heads, Knobs, Policy
from rl_platform.workers.objective import Batch, Objective, Params
from rl_platform.workers.objective_checks import first_answer, first_backward
from rl_platform.workers.reassessment import Assessment

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]
"""Of matrix products."""


class AutogradStep:
    """See `Step`. Batches are tensors on the device of the parameters.

    ``of_rows``: the objective may say something of every row, which is wanted of replayed samples.
    """

    def __init__(
        self,
        policy: Policy,
        params: Params,
        flat_gradient: torch.Tensor,
        target: torch.Tensor | None,
        objective: Objective,
        precision: Precision = "float32",
        standardize: Sequence[str] = (),
        of_rows: bool = False,
    ) -> None:
        self.policy, self.params, self.objective, self.precision = policy, params, objective, precision
        self.standardize, self.of_rows = standardize, of_rows
        self.flat_gradient, self.device = flat_gradient, flat_gradient.device
        self.target = None if target is None else policy.layout.views(target)
        self._trusted = False

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

    def assess(self, batch: Tree, knobs: Knobs, of_target: bool) -> Assessment:
        """What the parameters, or the target's, say of actions and observations [N, ...] or [T, Q, ...]."""
        import torch

        params = self.target if of_target else self.params
        assert params is not None
        columns = self.columns(batch)
        action = columns["action"]
        if self.policy.recurrent:
            action = action.reshape(-1, *action.shape[2:])
        with torch.no_grad(), self._mixed():
            heads = self.policy.heads(params, columns, knobs)
            log_probability = heads.log_probability(action)
            value = heads[str(self.policy.value)][:, 0]
        return Assessment(log_probability.float().cpu().numpy(), value.float().cpu().numpy())

    def gradient(self, batch: Batch, knobs: Knobs) -> dict[str, torch.Tensor]:
        """See `Step.gradient`."""
        self.flat_gradient.zero_()
        batch = batch | {name: _standardized(batch[name]) for name in self.standardize}
        told = self.policy, self.params, self.target, batch, knobs
        if not self._trusted:
            loss, stats = self._first(*told)
        else:
            with self._mixed():
                loss, stats = self.objective(*told)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        return {**stats, "loss": loss.detach()}

    def _first(
        self, policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """As ever, but for a mistake in an objective of the user's own, which is named."""
        rows = len(batch["action"]) if self.of_rows else None
        with self._mixed():
            loss, stats = first_answer(self.objective, rows, policy, params, target, batch, knobs)
        first_backward(self.objective, loss)
        self._trusted = True
        return loss, stats

    def _mixed(self) -> torch.autocast:
        """Matrix products in bfloat16 where that is wanted; parameters, losses and moments stay float32."""
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


def exact_convolutions() -> None:
    """In this process float32 is float32 from now on: on a GPU torch would round what convolutions read to
    the 10 bits of TF32, though not what matrix products read. Who gives digits for speed asks for bfloat16.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False


def _standardized(values: torch.Tensor) -> torch.Tensor:
    """See `rl_platform.objectives.clipped_surrogate.standardized`."""
    return (values - values.mean()) / (values.std() + 1e-8) if len(values) > 1 else values
