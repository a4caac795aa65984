"""How a driver is brought to an end: drain, then stop, then take its cluster away. Pure."""

from __future__ import annotations

from enum import IntEnum

from rl_operator.times import seconds_since
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import TrainingJobStatus


class Pressure(IntEnum):
    """How hard a driver is asked to end."""

    NONE = 0
    DRAIN = 1  # checkpoint and stop
    STOP = 2  # SIGTERM, then SIGKILL, by Ray's Jobs API
    TAKE_AWAY = 3  # delete the cluster under it


def pressure(asked_for_seconds: float, drain_grace_seconds: float, stop_grace_seconds: float) -> Pressure:
    """Negative: it is not asked to end."""
    if asked_for_seconds < 0:
        return Pressure.NONE
    if asked_for_seconds < drain_grace_seconds:
        return Pressure.DRAIN
    if asked_for_seconds < drain_grace_seconds + stop_grace_seconds:
        return Pressure.STOP
    return Pressure.TAKE_AWAY


def suspending_seconds(status: TrainingJobStatus, wanted: bool, now: float) -> float:
    """Since when suspension is under way; negative where it is not wanted."""
    if not wanted:
        return -1.0
    for condition in status.conditions:
        if condition.type == ConditionType.SUSPENDED and condition.status == "Unknown":
            return seconds_since(condition.last_transition_time, now)
    return 0.0
