"""A TrainingJob as the API server has it: its state in words, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rl_platform.cli.amounts import parse_time, plain
from rl_platform.cli.seen_object import SeenObject
from rl_platform.spec.conditions import ConditionType, Phase

OPERATOR = "rlplatform.io/operator"  # spec.runPolicy.managedBy of jobs that are the operator's, as none is
UNSEEN = "Unseen"
PATIENCE_SECONDS = 10.0  # in which an operator that runs has seen a job


@dataclass(frozen=True, slots=True)
class SeenCondition:
    """As in status, every part a text."""

    type: str
    status: str
    reason: str
    message: str
    since: str


@dataclass(frozen=True, slots=True)
class SeenJob(SeenObject):
    """It may be of a newer version, or not acted on yet."""

    @property
    def generation(self) -> int:
        return int(self.number("metadata", "generation") or 0)

    @property
    def attempt(self) -> int:
        return int(self.number("status", "attempt") or 0)

    @property
    def env_steps(self) -> int:
        return int(self.number("status", "progress", "envSteps") or 0)

    @property
    def conditions(self) -> tuple[SeenCondition, ...]:
        listed = self.at("status", "conditions")
        keys = ("type", "status", "reason", "message", "lastTransitionTime")
        return tuple(
            SeenCondition(*(plain(each.get(key) or "") for key in keys))
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, Mapping)
        )

    def condition(self, kind: ConditionType) -> SeenCondition | None:
        return next((each for each in self.conditions if each.type == kind), None)

    @property
    def finished(self) -> Phase | None:
        """Succeeded, Failed, or None while it is open."""
        summary = self.condition(ConditionType.SUCCEEDED)
        ends = {"True": Phase.SUCCEEDED, "False": Phase.FAILED}
        return ends.get(summary.status) if summary else None

    @property
    def acted_on(self) -> bool:
        """Whether the operator has seen the spec as it is now."""
        return (self.number("status", "observedGeneration") or -1) >= self.generation

    @property
    def suspended(self) -> bool:
        condition = self.condition(ConditionType.SUSPENDED)
        return condition is not None and condition.status == "True"

    @property
    def wants_suspension(self) -> bool:
        return self.at("spec", "runPolicy", "suspend") is True

    @property
    def state(self) -> str:
        """One word for people."""
        if self.deleting:
            return "Deleting"
        return self.text("status", "phase") or UNSEEN

    @property
    def foreign_controller(self) -> str:
        """Who acts on it, where that is not the operator."""
        manager = self.text("spec", "runPolicy", "managedBy")
        return "" if manager == OPERATOR else manager

    def waits_for(self, now: datetime) -> str:
        """What keeps it from training, in a sentence; empty where nothing does or nobody knows."""
        if self.finished or self.deleting:
            return ""
        if self.foreign_controller:
            return f"{self.foreign_controller} acts on it (spec.runPolicy.managedBy), not the operator"
        if self.state == UNSEEN:
            created = parse_time(self.text("metadata", "creationTimestamp"))
            if created and (now - created).total_seconds() < PATIENCE_SECONDS:
                return ""
            return "the operator has not seen it yet: is it running, and does it look at this namespace?"
        if self.suspended:
            return "it is suspended: `rlp resume` goes on"
        degraded = self.condition(ConditionType.DEGRADED)
        if degraded and degraded.status == "True":
            return f"{degraded.reason}: {degraded.message}".rstrip(": ")
        for kind in (ConditionType.CLUSTER_READY, ConditionType.TRAINING):
            missing = self.condition(kind)
            if missing and missing.status == "False" and self.state != Phase.SUSPENDING:
                return f"{missing.reason}: {missing.message}".rstrip(": ")
        return ""
