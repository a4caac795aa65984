"""A driver without training: env steps grow with time, checkpoints outlive it, it ends as its plan says.

It speaks the driver protocol of `rl_platform.spec.driver_protocol`. Time is an argument, and everything that
has become due by then happens in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rl_operator.driver_contact import JobState
from rl_platform.spec.driver_protocol import DESIRED_ENV, HEAD_UID_ENV, LINGER_SECONDS, ExitCode

Json = dict[str, Any]
STEPS_PER_SECOND = 1000
CHECKPOINT_SECONDS = 2.0
START_SECONDS = 1.0
DRAIN_SECONDS = 1.0
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the drivers of a job behave. ``failures``: attempt → steps of its own, exit code, reason."""

    failures: dict[int, tuple[int, int, str]] = field(default_factory=dict)
    crashes: dict[int, int] = field(default_factory=dict)  # attempt → steps until it dies without a word
    drains: dict[int, int] = field(default_factory=dict)  # attempt → steps until it drains, unasked
    ignores_drain: bool = False
    ignores_stop: bool = False
    silent: bool = False  # never answers its own endpoints
    never_ends: bool = False
    endless: frozenset[int] = frozenset()  # attempts that end only when they are told to
    blabs: bool = False  # says its token wherever it can


@dataclass
class Storage:
    """What outlives pods: the newest checkpoint of each job, and the models that were registered."""

    steps: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    registered: dict[str, set[int]] = field(default_factory=dict)

    def save(self, job: str, attempt: int, steps: int) -> None:
        if steps > self.steps.get(job, 0):
            self.steps[job], self.attempts[job] = steps, attempt


@dataclass
class Driver:
    """One process. ``at``: when it was submitted; ``target``: env steps of the whole run."""

    job: str
    attempt: int
    target: int
    at: float
    plan: Plan
    storage: Storage
    base: int = field(init=False)
    generation: int = 0
    replicas: int | None = None
    final: str = ""  # Succeeded, Drained, Failed
    final_at: float = NEVER
    exit_code: int | None = None
    acknowledged_at: float | None = None
    draining_at: float | None = None
    let_go_at: float | None = None  # when workers were asked to leave last
    stopped_at: float | None = None
    killed_at: float = NEVER
    reason: str = ""
    said: str = "it went wrong"

    def __post_init__(self) -> None:
        self.base = self.storage.steps.get(self.job, 0)
        self.foresee()

    @property
    def begins_at(self) -> float:
        return self.at + START_SECONDS

    def foresee(self) -> None:
        """When it will end by itself, as things stand."""
        if self.draining_at is not None:
            return
        ends = [(self.begins_at + max(0, self.target - self.base) / STEPS_PER_SECOND, "Succeeded", 0, "")]
        if self.attempt in self.plan.failures:
            steps, code, reason = self.plan.failures[self.attempt]
            ends.append((self.begins_at + steps / STEPS_PER_SECOND, "Failed", code, reason))
        if self.attempt in self.plan.crashes:
            ends.append((self.begins_at + self.plan.crashes[self.attempt] / STEPS_PER_SECOND, "", 137, ""))
        if self.attempt in self.plan.drains:
            steps, code = self.plan.drains[self.attempt], int(ExitCode.DRAINED)
            ends.append((self.begins_at + steps / STEPS_PER_SECOND, "Drained", code, ""))
        if self.plan.never_ends or (self.attempt in self.plan.endless and len(ends) == 1):
            return
        self.final_at, self.final, self.exit_code, self.reason = min(ends)

    @property
    def exits_at(self) -> float:
        """Its process is gone from then on."""
        if self.final == "" and self.final_at < NEVER:
            return min(self.final_at, self.killed_at)
        heard = self.acknowledged_at
        lingers = self.final_at + LINGER_SECONDS if heard is None else max(self.final_at, heard) + 0.2
        return min(lingers, self.killed_at)

    def alive(self, now: float) -> bool:
        return now < self.exits_at

    def steps(self, now: float) -> int:
        ran = min(now, self.final_at, self.exits_at) - self.begins_at
        return self.base + max(0, int(ran * STEPS_PER_SECOND))

    def save_due(self, now: float) -> None:
        """Checkpoints up to now, by the clock and at the end."""
        until = min(now, self.final_at, self.exits_at)
        ran = until - self.begins_at
        if ran >= CHECKPOINT_SECONDS:
            whole = int(ran // CHECKPOINT_SECONDS) * CHECKPOINT_SECONDS
            self.storage.save(self.job, self.attempt, self.base + int(whole * STEPS_PER_SECOND))
        if now >= self.final_at and self.final in ("Succeeded", "Drained") and self.exits_at >= self.final_at:
            self.storage.save(self.job, self.attempt, self.steps(now))
            if self.final == "Succeeded":
                self.storage.registered.setdefault(self.job, set()).add(self.attempt)

    def drain(self, now: float) -> None:
        if self.draining_at is not None or now >= self.final_at or self.plan.ignores_drain:
            return
        self.save_due(now)
        self.draining_at = now
        self.final_at, self.final, self.exit_code = now + DRAIN_SECONDS, "Drained", int(ExitCode.DRAINED)

    def stop(self, now: float, wait_seconds: float) -> None:
        """SIGTERM, and SIGKILL later."""
        if self.stopped_at is None and self.alive(now):
            self.stopped_at = now
            if not self.plan.ignores_stop:
                self.drain(now)
                self.acknowledged_at = now  # a stopped driver does not linger
            self.killed_at = now + wait_seconds

    def kill(self, now: float) -> None:
        self.save_due(now)
        self.killed_at = min(self.killed_at, now)

    def state(self, now: float) -> JobState:
        if self.alive(now):
            return JobState.PENDING if now < self.begins_at else JobState.RUNNING
        if self.stopped_at is not None:
            return JobState.STOPPED
        return JobState.SUCCEEDED if self.exit_code == 0 else JobState.FAILED

    def answers(self, now: float) -> bool:
        return self.begins_at <= now and self.alive(now) and not self.plan.silent

    def progress(self, now: float) -> Json:
        self.save_due(now)
        state = "Training"
        if now >= self.final_at:
            state = self.final
        elif self.draining_at is not None:
            state = "Draining"
        document: Json = {
            "attempt": self.attempt,
            "state": state,
            "envSteps": self.steps(now),
            "updates": self.steps(now) // 100,
            "desiredGeneration": self.generation,
        }
        saved = self.storage.steps.get(self.job, 0)
        if saved:
            attempt = self.storage.attempts[self.job]
            uri = f"memory://{self.job}/{attempt}/{saved}"
            document["checkpoint"] = {"uri": uri, "envSteps": saved}
        if state == "Succeeded":
            document["stopReason"] = "EnvStepsReached"
            document["model"] = {"name": "model", "version": "1", "uri": "models:/model/1"}
        if state == "Drained":
            document["stopReason"] = "Drained"
        if state == "Failed":
            document["failure"] = {"reason": self.reason, "message": self.said}
        return document

    def needed(self, pods: list[str], now: float) -> list[str]:
        """Of the pods of rollout workers, once some were let go: the last ones stay."""
        draining = self.let_go_at is None or now < self.let_go_at + DRAIN_SECONDS
        return pods if draining or self.replicas is None else pods[len(pods) - self.replicas :]

    def desired(self, document: Json, now: float) -> None:
        if document["generation"] <= self.generation:
            return
        self.generation = document["generation"]
        replicas = document.get("replicas", self.replicas)
        if replicas is not None and self.replicas is not None and replicas < self.replicas:
            self.let_go_at = now
        self.replicas = replicas
        target = (document.get("stop") or {}).get("envSteps")
        if target is not None and now < self.final_at:
            self.target = target
            self.foresee()
            self.final_at = max(self.final_at, now)


def from_submission(
    body: Json, pod_uid: str, target: Callable[[str], int], at: float, plan: Plan, storage: Storage
) -> Driver:
    """The driver that a POST to the Jobs API starts; one that was sent to another pod leaves at once."""
    job, _, attempt = body["submission_id"].rpartition("-")
    environment = body["runtime_env"]["env_vars"]
    desired = json.loads(environment[DESIRED_ENV])
    stop = (desired.get("stop") or {}).get("envSteps") or target(job)
    driver = Driver(job, int(attempt), stop, at, plan, storage)
    driver.generation, driver.replicas = desired["generation"], desired.get("replicas")
    if environment[HEAD_UID_ENV] != pod_uid:
        driver.final_at, driver.final, driver.exit_code = at, "", int(ExitCode.DRAINED)
    return driver
