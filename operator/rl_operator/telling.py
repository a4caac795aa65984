"""What of a job's story is worth an event: every condition that says something new."""

from __future__ import annotations

from typing import Protocol

from rl_operator.observed import Job
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import Condition, DriverOutcome, TrainingJobStatus


class Events(Protocol):
    """Where the story of a job is told."""

    def emit(self, job: Job, kind: str, reason: str, message: str) -> None:
        """``kind``: Normal or Warning. Never blocks, never raises."""


def tell(events: Events, job: Job, new: TrainingJobStatus) -> None:
    """Every condition that says something new is an event."""
    before = {it.type: it for it in job.status.conditions}
    for condition in new.conditions:
        old = before.get(condition.type)
        if old is not None and (old.status, old.reason) == (condition.status, condition.reason):
            continue
        kind = _kind(condition, new)
        if old is None and condition.status != "True" and kind == "Normal":
            continue  # the first visit says nothing of most of them
        text = f"{condition.type} is {condition.status}. {condition.message}".strip()
        events.emit(job, kind, condition.reason, text)


def _kind(condition: Condition, status: TrainingJobStatus) -> str:
    """Warning: somebody may have to do something."""
    outcome = status.driver.outcome if status.driver is not None else None
    fine = outcome in (DriverOutcome.DONE, DriverOutcome.DRAINED) and condition.reason != "DrainedUnasked"
    if condition.type == ConditionType.TRAINING and fine:
        return "Normal"
    bad = {"Succeeded": "False", "Degraded": "True"}
    quiet = {
        "NotSuspended",
        "Suspended",
        "Starting",
        "HeadStarting",
        "GroupsStarting",
        "Creating",
        "Deleting",
        "NoCluster",
        "NoneYet",
        "AsExpected",
        "InProgress",
        "Queued",
        "Drained",
        "Evicted",
        "NotStarted",
    }
    if condition.type in bad:
        return "Warning" if condition.status == bad[condition.type] else "Normal"
    return "Warning" if condition.status == "False" and condition.reason not in quiet else "Normal"
