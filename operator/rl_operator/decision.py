"""What a pass of reconcile comes to: writes to do now, an order for the driver, the status to write last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rl_operator.driver_contact import DriverOrder
from rl_operator.runtime.resources import RAY_CLUSTERS, Resource
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import TrainingJobStatus

SOON_SECONDS, LATER_SECONDS = 2.0, 30.0
"""Until the next look at what is under way, and at what should wake the job by itself."""


@dataclass(frozen=True, slots=True)
class Create:
    """Repeating it is harmless: the name follows from the job's uid."""

    resource: Resource
    namespace: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """Only the object with this uid."""

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Patch:
    """JSON patch that begins with tests."""

    resource: Resource
    namespace: str
    name: str
    operations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class KeepLog:
    """The end of a driver's log, into a ConfigMap under ``key``; ``body`` creates it if need be."""

    namespace: str
    name: str
    key: str
    body: Mapping[str, Any] = field(repr=False)


Write = Create | Delete | Patch | KeepLog


@dataclass(frozen=True, slots=True)
class Holds:
    """A condition as it should be."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """``status`` is written after ``writes``, and whatever it announces is done in the next pass only.

    A crash between any two of these steps leaves a state from which the next pass decides the same.
    """

    status: TrainingJobStatus
    conditions: Mapping[ConditionType, Holds] = field(default_factory=dict)
    writes: tuple[Write, ...] = ()
    order: DriverOrder | None = None
    look_again_seconds: float | None = None
    scaled_in: tuple[str, ...] = ()  # pods that the writes take away, without work

    @property
    def makes_cluster(self) -> bool:
        return any(isinstance(it, Create) and it.resource == RAY_CLUSTERS for it in self.writes)
