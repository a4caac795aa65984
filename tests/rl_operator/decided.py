"""What is decided, and the status that it makes."""

from __future__ import annotations

from rl_operator.decide import decide
from rl_operator.decision import Decision
from rl_operator.observed import Observed
from rl_operator.status import compose
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import (
    TrainingJobStatus,
)
from tests.rl_operator.observations import (
    SETTINGS,
)


def after(observed: Observed) -> tuple[Decision, TrainingJobStatus]:
    decision = decide(observed, SETTINGS)
    return decision, compose(observed, decision)


def reason(status: TrainingJobStatus, type_: ConditionType) -> tuple[str, str]:
    found = next(it for it in status.conditions if it.type == type_)
    return found.status, found.reason
