"""One operator process without threads: caches, queue, reconciler, looks at drivers, on a virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import SecretBytes

from rl_operator.caches import Caches
from rl_operator.contact import contact, is_of, unfulfilled
from rl_operator.driver_contact import DriverOrder, DriverSighting, Key
from rl_operator.observed import Job
from rl_operator.polling import EAGER_LOOKS, EAGER_SECONDS, ENDED_SECONDS, INTERVAL_SECONDS
from rl_operator.reach import Reach
from rl_operator.reconcile import Reconciler
from rl_operator.runtime.api import Api, ApiError
from rl_operator.runtime.queue import WorkQueue
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS, TRAINING_JOBS
from rl_operator.runtime.workers import Workers
from rl_operator.settings import Settings
from tests.simulation.api_model import ApiModel
from tests.simulation.feed import Feed
from tests.simulation.injector import Injector, Seam

TOKEN_KEY = b"the key of the simulated operator"
PASSES_AT_ONCE = 40


def settings(**changes: object) -> Settings:
    """As in production, with an image of no meaning."""
    values = {"token_key": SecretBytes(TOKEN_KEY), "reach": "proxy", "operator_namespace": "rl-platform"}
    return Settings.model_validate(values | changes)


@dataclass(slots=True)
class _Watched:
    order: DriverOrder
    due: float
    sighting: DriverSighting | None = None
    looks: int = 0


@dataclass
class Contacts:
    """`DriverContacts`: what Pollers do with threads, done when it is due."""

    reach: Reach
    now: Callable[[], float]
    operator_now: Callable[[], float]
    watched: dict[Key, _Watched] = field(default_factory=dict)
    wake: Callable[[Key], None] = lambda key: None

    def order(self, key: Key, order: DriverOrder | None) -> None:
        known = self.watched.get(key)
        if order is None:
            self.watched.pop(key, None)
        elif known is None:
            self.watched[key] = _Watched(order, self.now())
        elif known.order != order:
            known.order, known.looks, known.due = order, 0, self.now()

    def sighting(self, key: Key) -> DriverSighting | None:
        known = self.watched.get(key)
        if known is None or known.sighting is None or not is_of(known.sighting, known.order):
            return None
        return known.sighting

    def on_sighting(self, wake: Callable[[Key], None]) -> None:
        self.wake = wake

    def due(self) -> float | None:
        return min((it.due for it in self.watched.values()), default=None)

    def step(self) -> None:
        for key, known in list(self.watched.items()):
            if known.due > self.now():
                continue
            before = known.sighting
            known.looks += 1
            seen = contact(known.order, before, self.reach, self.operator_now(), self.now())
            known.sighting = seen
            eager = unfulfilled(known.order, seen) and known.looks <= EAGER_LOOKS
            ended = seen.state is not None and seen.state.ended
            known.due = self.now() + (
                EAGER_SECONDS if eager else ENDED_SECONDS if ended else INTERVAL_SECONDS
            )
            if seen != before:
                self.wake(key)


@dataclass
class Story:
    """`Events`: what was told."""

    told: list[tuple[str, str, str]] = field(default_factory=list)

    def emit(self, job: Job, kind: str, reason: str, message: str) -> None:
        self.told.append((kind, reason, message))


class _Nobody:
    def began(self) -> None: ...

    def ended(self, result: object, seconds: float) -> None: ...


class OperatorProcess:
    """``snapshot``: the version that its first lists show, where it is not the newest."""

    def __init__(
        self,
        number: int,
        model: ApiModel,
        heads: Reach,
        injector: Injector,
        operator_now: Callable[[], float],
        options: Settings,
        snapshot: int | None = None,
    ) -> None:
        self.number = number
        self.passes = 0
        self.seam = Seam(number, injector, model, heads)
        self.story = Story()
        self._injector = injector
        missing = lambda: RAY_CLUSTERS not in model.kinds  # noqa: E731
        self.caches = Caches(kuberay_missing=missing)
        self.queue: WorkQueue[Key] = WorkQueue(clock=model.now)
        self.contacts = Contacts(self.seam.reach, model.now, operator_now)
        self.contacts.on_sighting(self.queue.add)
        self.feeds = [
            Feed(model, TRAINING_JOBS, self.caches.jobs, injector, snapshot),
            Feed(model, RAY_CLUSTERS, self.caches.clusters, injector, snapshot),
            Feed(model, PODS, self.caches.pods, injector, snapshot),
        ]
        api = Api(self.seam, sleep=lambda seconds: None)
        self.reconciler = Reconciler(api, self.caches, self.contacts, operator_now, options, self.story)
        self._workers = Workers(self.queue, self._reconcile, 0, _Nobody(), clock=model.now)
        for feed in self.feeds:
            self._wake(feed.relist())

    def due(self) -> float | None:
        dues = [self.queue.next_due(), self.contacts.due(), *(feed.due() for feed in self.feeds)]
        given = [due for due in dues if due is not None]
        return min(given, default=None)

    def step(self) -> None:
        """Everything that is due. Raises OperatorDied."""
        for feed in self.feeds:
            self._wake(feed.deliver())
        self.contacts.step()
        for _ in range(PASSES_AT_ONCE):
            key = self.queue.get(block=False)
            if key is None:
                return
            self._workers.work(key)
            for feed in self.feeds:
                self._wake(feed.deliver())
        raise AssertionError(f"more than {PASSES_AT_ONCE} passes at one time")

    def resync(self) -> None:
        """Lists again, and looks at every job."""
        for feed in self.feeds:
            self._wake(feed.relist())
        for indexed in self.caches.jobs.indexed():
            self.queue.add(indexed.key)

    def _wake(self, keys: list[Key]) -> None:
        for key in keys:
            self.queue.add(key)

    def _reconcile(self, key: Key) -> float | None:
        self.passes += 1
        try:
            again = self.reconciler.reconcile(key)
        except ApiError:
            raise
        except Exception as error:
            self._injector.violations.append(f"a pass raised {error!r}")
            raise
        self._injector.note(self.number, f"pass {key} again in {again}")
        return again
