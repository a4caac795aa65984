"""Whether what a plan learns ever reaches those who sample for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rl_platform.execution.item import Kind
from rl_platform.execution.parts import Op, PlanError, Source

SAMPLED = (Kind.ROLLOUT, Kind.GRADIENTS)
"""What comes from acting in the environment."""


def refuse_unpublished(sources: Iterable[Source], ops: Sequence[Op]) -> None:
    """Raises PlanError where sources sample and operators train, and none of them publishes."""
    sampling = [source.name for source in sources if source.gives in SAMPLED]
    training = [op.name for op in ops if op.gives is Kind.UPDATE and Kind.UPDATE not in op.takes]
    if sampling and training and not any(op.publishes for op in ops):
        raise PlanError(
            f"{training[0]} trains, but nothing publishes: {sampling[0]} would sample with the initial "
            f"weights for ever; put publish_weights() behind {training[0]}"
        )
