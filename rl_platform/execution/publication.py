"""Whether what a plan learns ever reaches those who sample for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rl_platform.execution.item import Kind
from rl_platform.execution.parts import PlanError

if TYPE_CHECKING:
    from rl_platform.execution.plan import Flow

SAMPLED = (Kind.ROLLOUT, Kind.GRADIENTS)
"""What comes from acting in the environment."""


def refuse_unpublished(flows: Iterable[Flow]) -> None:
    """Raises PlanError where some of them train and sample, and none publishes."""
    flows = list(flows)
    sampling = [flow.source.name for flow in flows if flow.source.gives in SAMPLED]
    ops = [op for flow in flows for op in flow.ops]
    training = [op.name for op in ops if op.gives is Kind.UPDATE and Kind.UPDATE not in op.takes]
    if sampling and training and not any(op.publishes for op in ops):
        raise PlanError(
            f"{training[0]} trains, but nothing publishes: {sampling[0]} would sample with the initial "
            f"weights for ever; put publish_weights() behind {training[0]}"
        )
