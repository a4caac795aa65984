"""What reconcile wants of a driver, and what was seen of it: the two documents that pass between them.

No HTTP to Ray happens inside reconcile. It leaves a `DriverOrder`; pollers act on it and leave a
`DriverSighting`, then wake the job's key. Both are replaced as a whole, so nothing is lost with a process:
an order follows from the job's status, a sighting from looking again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rl_platform.spec.driver_protocol import Desired, Progress

Key = tuple[str, str]
"""Namespace and name of a TrainingJob."""


class JobState(StrEnum):
    """Status of a submission in the Ray Jobs API."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def ended(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED)


@dataclass(frozen=True, slots=True)
class Head:
    """The pod that a driver runs on. ``uid`` fences: another uid is another life of the cluster."""

    namespace: str
    pod: str
    uid: str
    ip: str


@dataclass(frozen=True, slots=True)
class DriverOrder:
    """What is wanted of one attempt's driver. ``submit``: POST it where a GET says that it is not there."""

    submission_id: str  # <job uid>-<attempt>
    attempt: int
    head: Head
    token: str = field(repr=False)
    submit: bool = False
    entrypoint: str = "exec python -m rl_platform.driver"
    env: tuple[tuple[str, str], ...] = ()
    desired: Desired | None = None  # PUT until /progress shows its generation
    drain: bool = False  # POST /drain: checkpoint and stop
    stop: bool = False  # stop through the Jobs API, for a driver that does not drain
    acknowledge: bool = False  # its final progress is in status: it need not linger


@dataclass(frozen=True, slots=True)
class DriverSighting:
    """The last look at an attempt's driver, at ``at`` (seconds since the epoch, by the operator's clock).

    ``looked_at`` is the same time by a clock that nobody sets. Times that differ with every look say nothing
    new, and are not compared.
    """

    submission_id: str
    head_uid: str
    at: float = field(compare=False)
    looked_at: float = field(default=0.0, compare=False)
    ray_heard_at: float = field(default=float("-inf"), compare=False)  # by the same clock
    found: bool | None = None  # by the Jobs API; None: it did not answer
    state: JobState | None = None
    exit_code: int | None = None
    message: str = ""  # Ray's
    progress: Progress | None = None  # the newest that was read, also when the driver is gone since
    acknowledged: bool = False
    unreachable_since: float | None = None  # the Jobs API has not answered since then; for people
    unreachable_seconds: float = field(default=0.0, compare=False)  # for so long, whatever clocks say
    error: str = ""  # why it did not
    log_tail: str = ""  # of an ended driver


class DriverContacts(Protocol):
    """Pollers, as reconcile sees them."""

    def order(self, key: Key, order: DriverOrder | None) -> None:
        """Replace what is wanted; None forgets the job. Never blocks."""

    def sighting(self, key: Key) -> DriverSighting | None: ...

    def on_sighting(self, wake: Callable[[Key], None]) -> None:
        """Called from the pollers' threads after a sighting that says something new."""
