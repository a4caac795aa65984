"""Prometheus metrics: controller-runtime's names, so that known dashboards work, and a few of our own.

Totals and durations have no name label; series of single jobs are in `job_series`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from rl_operator.job_facts import JobFacts
from rl_operator.runtime.api import Call
from rl_operator.runtime.cache import Change, ChangeKind
from rl_operator.runtime.workers import Result

CONTROLLER: Final = "trainingjob"
# As controller-runtime has them: from 10 ns to 10 s, and from 5 ms to a minute.
QUEUE_BUCKETS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10)
PASS_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1,
    1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
)  # fmt: skip
CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
START_BUCKETS = (5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


class Metrics:
    """A registry of its own and what counts into it. Thread-safe. It observes workers and queue."""

    def __init__(self) -> None:
        disable_created_metrics()  # a series of each counter's birth: nobody asks, and it doubles them
        self.registry = CollectorRegistry()
        self._passes()
        self._queue()
        self._calls()
        self._jobs()
        self.leader = self._gauge("leader_election_master_status", "1: this process acts.", ["name"])
        self.events_dropped = self._counter("rl_operator_events_dropped", "Events not recorded.", ["why"])

    def _passes(self) -> None:
        of = ["controller"]
        self._reconciled = self._counter("controller_runtime_reconcile", "Passes.", [*of, "result"])
        self._errors = self._counter("controller_runtime_reconcile_errors", "Passes that failed.", of)
        self._seconds = self._histogram(
            "controller_runtime_reconcile_time_seconds", "Length of a pass.", of, PASS_BUCKETS
        ).labels(CONTROLLER)
        self._active = self._gauge("controller_runtime_active_workers", "Workers in a pass.", of).labels(
            CONTROLLER
        )
        self.workers = self._gauge("controller_runtime_max_concurrent_reconciles", "Workers.", of).labels(
            CONTROLLER
        )
        self._errors.labels(CONTROLLER)
        for result in Result:
            self._reconciled.labels(CONTROLLER, result.value)

    def _queue(self) -> None:
        of = ["name", "controller"]
        self._adds = self._counter("workqueue_adds", "Keys added.", of).labels(CONTROLLER, CONTROLLER)
        self._retries = self._counter("workqueue_retries", "Keys tried again.", of).labels(
            CONTROLLER, CONTROLLER
        )
        self._waited = self._histogram(
            "workqueue_queue_duration_seconds", "From adding to working.", of, QUEUE_BUCKETS
        ).labels(CONTROLLER, CONTROLLER)
        self._worked = self._histogram(
            "workqueue_work_duration_seconds", "Work on a key.", of, QUEUE_BUCKETS
        ).labels(CONTROLLER, CONTROLLER)

    def _calls(self) -> None:
        self._requests = self._counter("rest_client_requests", "Calls.", ["code", "method", "host"])
        self._latency = self._histogram(
            "rl_operator_api_request_duration_seconds",
            "Length of calls to the API server, watches left out.",
            ["verb", "resource"],
            CALL_BUCKETS,
        )

    def _jobs(self) -> None:
        self._finished = self._counter(
            "trainingjobs_finished", "Jobs seen to end.", ["namespace", "result", "algorithm"]
        )
        self._start_up = self._histogram(
            "trainingjob_start_seconds",
            "From a job's creation until its first attempt trains.",
            ["namespace"],
            START_BUCKETS,
        )

    def began(self) -> None:
        self._active.inc()

    def ended(self, result: Result, seconds: float) -> None:
        self._active.dec()
        self._seconds.observe(seconds)
        self._reconciled.labels(CONTROLLER, result.value).inc()
        if result is Result.ERROR:
            self._errors.labels(CONTROLLER).inc()

    def added(self) -> None:
        self._adds.inc()

    def retried(self) -> None:
        self._retries.inc()

    def started(self, waited_seconds: float) -> None:
        self._waited.observe(waited_seconds)

    def finished(self, worked_seconds: float) -> None:
        self._worked.observe(worked_seconds)

    def observe_calls(self, host: str) -> Callable[[Call], None]:
        def observe(call: Call) -> None:
            code = str(call.code) if call.code else "<error>"
            self._requests.labels(code, call.method, host).inc()
            if call.verb != "watch":
                self._latency.labels(call.verb, call.resource.plural).observe(call.seconds)

        return observe

    def job_changed(self, change: Change) -> None:
        """Count what a change of a job shows for the first time."""
        if change.kind is not ChangeKind.MODIFIED or change.previous is None:
            return
        before, now = change.previous.facts, change.indexed.facts
        if not isinstance(before, JobFacts) or not isinstance(now, JobFacts):
            return
        namespace = change.indexed.key[0]
        if now.result is not None and before.result is None:
            self._finished.labels(namespace, now.result, now.algorithm).inc()
        if now.attempt == 1 and now.training_since is not None and before.training_since is None:
            self._start_up.labels(namespace).observe(max(0.0, now.training_since - (now.created or 0.0)))

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: list[str], buckets: Iterable[float]) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=tuple(buckets))
