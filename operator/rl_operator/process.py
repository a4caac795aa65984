"""The operator as one process: its parts wired together, started, stopped in order.

Both the leader and those that wait hold full caches, so that a change of leader takes a moment. Only the
leader's workers and pollers run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rl_operator.driver_contact import Key
from rl_operator.events import EventRecorder
from rl_operator.health import HealthServer
from rl_operator.job_series import job_series
from rl_operator.live_metrics import InformerCollector, QueueCollector
from rl_operator.logs import Redactor
from rl_operator.metrics import Metrics
from rl_operator.polling import Pollers
from rl_operator.reach import Direct, ThroughApiServer
from rl_operator.reconcile import Reconciler
from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.garbage import leave_out_what_stays
from rl_operator.runtime.lease import Elector
from rl_operator.runtime.queue import WorkQueue
from rl_operator.runtime.token_bucket import TokenBucket
from rl_operator.runtime.workers import Workers
from rl_operator.settings import Settings
from rl_operator.watching import Watching

log = logging.getLogger(__name__)

LEASE_CALL_SECONDS = 5.0
LEASE_STUCK_SECONDS = 60.0
PASS_STUCK_SECONDS = 600.0
LAST_PASSES_SECONDS = 20.0
LAST_WORDS_SECONDS = 3.0
SYNC_LOOK_SECONDS = 0.05


class Operator:
    """``die`` ends the process at once, without clean-up: nothing may be done any more."""

    def __init__(
        self, settings: Settings, transport: ClusterTransport, redact: Redactor, die: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._metrics = Metrics()
        self._queue: WorkQueue[Key] = WorkQueue(observer=self._metrics)
        observe = self._metrics.observe_calls(transport.host)
        api = Api(transport, bucket=TokenBucket(settings.qps, settings.burst), observe=observe)
        self._watching = Watching(
            api, settings.namespaces, wake=self._queue.add, job_changed=self._metrics.job_changed
        )
        self._pollers = Pollers(
            Direct() if settings.reach == "direct" else ThroughApiServer(transport), threads=settings.pollers
        )
        self._pollers.on_sighting(self._queue.add)
        self._events = EventRecorder(
            api,
            settings.identity,
            redact=redact,
            dropped=lambda why: self._metrics.events_dropped.labels(why).inc(),
        )
        reconciler = Reconciler(api, self._watching.caches, self._pollers, time.time, settings, self._events)
        self._workers = Workers(self._queue, reconciler.reconcile, settings.concurrency, self._metrics)
        self._elector = Elector(
            Api(transport, observe=observe, timeout_seconds=LEASE_CALL_SECONDS),
            settings.lease_namespace,
            settings.identity,
            on_lost=die,
            name=settings.lease_name,
        )
        self._health = self._health_server()
        self._leading = threading.Thread(target=self._act_when_leader, name="lead", daemon=True)

    def _health_server(self) -> HealthServer:
        metrics, watching = self._metrics, self._watching
        metrics.workers.set(self._settings.concurrency)
        metrics.leader.labels(self._settings.lease_name).set_function(lambda: float(self._elector.is_leader))
        metrics.registry.register(QueueCollector(self._queue))
        metrics.registry.register(InformerCollector(watching.informers))
        return HealthServer(
            self._settings.host,
            self._settings.port,
            live=[watching.stuck, self._workers_stuck, self._lease_stuck],
            ready=[watching.not_synced],
            registry=metrics.registry,
            job_series=lambda: job_series(watching.caches.jobs),
        )

    def start(self) -> None:
        """Everything that a waiting operator does too, and a thread that waits for its turn."""
        self._health.start()
        log.info("health and metrics on port %d", self._health.port)
        self._watching.start()
        self._leading.start()

    def stop(self) -> bool:
        """Finish what is in hand, then give the Lease back. Whether all of it ended in time."""
        self._stopping.set()
        self._queue.close()
        if not self._elector.is_leader:
            self._elector.release()
        self._leading.join(LAST_PASSES_SECONDS)
        ended = self._workers.join(LAST_PASSES_SECONDS)
        self._pollers.close(LAST_WORDS_SECONDS)
        self._watching.stop()
        if ended:
            self._events.close(LAST_WORDS_SECONDS)
            self._elector.release()
        else:
            log.error("a pass did not end within %g s: the lease runs out by itself", LAST_PASSES_SECONDS)
        self._health.close()
        return ended

    def _act_when_leader(self) -> None:
        while (late := self._watching.not_synced()) and not self._stopping.wait(SYNC_LOOK_SECONDS):
            log.debug("not synced: %s", late)
        if self._stopping.is_set():
            return
        leave_out_what_stays()
        log.info("caches are filled")
        if self._settings.leader_election and not self._elector.acquire():
            return
        if self._stopping.is_set():
            return
        self._events.start()
        self._pollers.start()
        self._workers.start()

    def _workers_stuck(self) -> str:
        longest = max(self._queue.running_seconds(), default=0.0)
        return f"workers: a pass has run for {longest:.0f} s" if longest > PASS_STUCK_SECONDS else ""

    def _lease_stuck(self) -> str:
        if not self._settings.leader_election or self._watching.not_synced():
            return ""
        age = self._elector.turn_age_seconds()
        return f"lease: no attempt for {age:.0f} s" if age > LEASE_STUCK_SECONDS else ""
