"""The story of a job as Kubernetes events (events.k8s.io/v1), told beside reconcile and never in its way.

A repeated event becomes a series instead of another object. What can't be told, because the queue is full,
a job says too much or the server refuses, is dropped and counted: events are a courtesy, status is the truth.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rl_operator.names import OPERATOR
from rl_operator.observed import Job
from rl_operator.rbac import Rule
from rl_operator.runtime.api import Api, ApiError, NotFound
from rl_operator.runtime.micro_time import micro_time
from rl_operator.runtime.resources import EVENTS, TRAINING_JOBS
from rl_operator.runtime.token_bucket import TokenBucket

log = logging.getLogger(__name__)

RULES = (Rule(EVENTS, ("create", "patch")),)
WAITING_EVENTS = 1000
REMEMBERED = 4096
SERIES_SECONDS = 300.0  # a series is not brought up to date more often
NOTE_LENGTH = 1024  # the schema's bound
PER_SECOND, AT_ONCE = 5.0, 50
JOB_PER_SECOND, JOB_AT_ONCE = 1 / 60, 25


@dataclass(frozen=True, slots=True)
class _Told:
    """Everything that two events have in common when they are one series."""

    namespace: str
    name: str
    uid: str
    kind: str
    reason: str
    note: str


@dataclass(slots=True)
class _Series:
    event: str  # name of the object
    count: int
    written_at: float


class EventRecorder:
    """`emit` for reconcile; `start` for the thread that writes. ``dropped`` is told why, once for each."""

    def __init__(
        self,
        api: Api,
        identity: str,
        *,
        redact: Callable[[str], str],
        dropped: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._identity = identity[:128]
        self._redact = redact
        self._dropped = dropped
        self._clock = clock
        self._waiting: queue.Queue[_Told | None] = queue.Queue(WAITING_EVENTS)
        self._bucket = TokenBucket(PER_SECOND, AT_ONCE, clock)
        self._series: OrderedDict[_Told, _Series] = OrderedDict()
        self._by_job: OrderedDict[str, TokenBucket] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def emit(self, job: Job, kind: str, reason: str, message: str) -> None:
        """``kind``: Normal or Warning. Never blocks, never raises."""
        note = self._redact(message)[:NOTE_LENGTH]
        try:
            self._waiting.put_nowait(_Told(job.namespace, job.name, job.uid, kind, reason, note))
        except queue.Full:
            self._dropped("queue full")

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_seconds: float) -> None:
        """Tell what waits, for so long at most."""
        if self._thread.ident is None:
            return
        try:
            self._waiting.put(None, timeout=timeout_seconds)
        except queue.Full:
            return
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while (told := self._waiting.get()) is not None:
            time.sleep(self.write(told))

    def write(self, told: _Told) -> float:
        """Record one; seconds to wait before the next."""
        known = _recent(self._series, told)
        if known is not None:
            known.count += 1
            if self._clock() - known.written_at < SERIES_SECONDS and known.count > 2:
                return 0.0
        elif self._says_too_much(told.uid):
            self._dropped("too many of one job")
            return 0.0
        wait = self._bucket.reserve()
        try:
            self._record(told, known)
        except ApiError as error:
            log.info(
                "event %s not recorded: %s", told.reason, error, extra={"key": (told.namespace, told.name)}
            )
            self._dropped("refused")
        return wait

    def _record(self, told: _Told, known: _Series | None) -> None:
        if known is not None:
            series = {"count": known.count, "lastObservedTime": micro_time()}
            known.written_at = self._clock()
            try:
                self._api.merge_patch(EVENTS, told.namespace, known.event, {"series": series})
                return
            except NotFound:
                pass  # its time was up: begin anew
        name = f"{told.name[:200]}.{secrets.token_hex(8)}"
        self._api.create(EVENTS, told.namespace, self._event(told, name))
        _remember(self._series, told, _Series(name, 1, self._clock()))

    def _event(self, told: _Told, name: str) -> dict[str, Any]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": told.namespace},
            "eventTime": micro_time(),
            "reportingController": OPERATOR,
            "reportingInstance": self._identity,
            "action": "Reconcile",
            "type": told.kind,
            "reason": told.reason,
            "note": told.note,
            "regarding": {
                "apiVersion": TRAINING_JOBS.api_version,
                "kind": TRAINING_JOBS.kind,
                "namespace": told.namespace,
                "name": told.name,
                "uid": told.uid,
            },
        }

    def _says_too_much(self, uid: str) -> bool:
        bucket = _recent(self._by_job, uid)
        if bucket is None:
            bucket = TokenBucket(JOB_PER_SECOND, JOB_AT_ONCE, self._clock)
            _remember(self._by_job, uid, bucket)
        return not bucket.take()


K = TypeVar("K")
V = TypeVar("V")


def _recent(known: OrderedDict[K, V], key: K) -> V | None:
    if key in known:
        known.move_to_end(key)
    return known.get(key)


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > REMEMBERED:
        known.popitem(last=False)
