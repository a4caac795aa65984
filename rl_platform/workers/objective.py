"""What an algorithm wants minimised: a function in torch, and perhaps its gradient written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rl_platform.data.tree import Tree
from rl_platform.models.ops import Array
from rl_platform.models.policy import Heads, Knobs, Policy

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
Params = Mapping[str, "torch.Tensor"]
Objective = Callable[
    [Policy, Params, "Params | None", Batch, Knobs], "tuple[torch.Tensor, dict[str, torch.Tensor]]"
]
"""(policy, parameters, target parameters, batch of columns [N, ...], knobs) → (loss, detached statistics).

Loss and statistics are means over N: of a minibatch that several learners share, each sees a part. A
statistic is a number, or of replayed samples [N] where something is wanted of every row.
"""
TargetColumns = Callable[[Heads], dict[str, Array]]
"""The target's heads for the observations afterwards, of all minibatches → further columns [N, ...]."""
Read = Callable[[str], Heads]
"""Prefix of observation columns ("" or ``next/``) → heads of the present parameters, in numpy."""


class Descent(NamedTuple):
    """A loss and its gradient at the heads."""

    loss: float
    gradients: Tree  # by head [N, size], and by parameter of the distribution
    stats: dict[str, Any]  # numbers, and arrays [N] of what is wanted of every row


ClosedForm = Callable[[Read, Tree, Knobs], Descent]
"""(heads, batch of columns [N, ...], knobs) → the loss and its gradient by the heads of ``read("")``."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An objective that may also be known in closed form, which is used where it can be: it is far faster.

    ``standardize``: columns that it gets with mean 0 and deviation 1 over each minibatch, whoever shares it.
    """

    objective: Objective
    closed_form: ClosedForm | None = None
    standardize: tuple[str, ...] = ()

    def __call__(
        self, policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.objective(policy, params, target, batch, knobs)


def name_of(function: Callable[..., Any]) -> str:
    """As its author would look for it: module and name."""
    function = function.objective if isinstance(function, Loss) else function
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


def standardized_by(objective: Objective) -> tuple[str, ...]:
    """Columns that it wants standardised."""
    return objective.standardize if isinstance(objective, Loss) else ()
