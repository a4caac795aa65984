"""A watch without a connection: changes of one kind go from model to cache, late or wrongly if asked."""

from __future__ import annotations

from rl_operator.driver_contact import Key
from rl_operator.runtime.api import WatchEvent
from rl_operator.runtime.cache import Cache, Change
from rl_operator.runtime.resources import Resource
from tests.simulation.api_model import ApiModel
from tests.simulation.injector import Injector
from tests.simulation.schedules import Counted
from tests.simulation.store import Change as StoredChange
from tests.simulation.store import after

LAG_SECONDS = 3.0  # what is older has arrived, however far the cache lags
LATE_SECONDS = 5.0
RELIST_SECONDS = 700.0
BOOKMARK_SECONDS = 60.0
SNAPSHOT_SECONDS = 2.0


class Feed:
    """`deliver` hands over what has arrived, `relist` everything; both give the keys to wake."""

    def __init__(
        self, model: ApiModel, resource: Resource, cache: Cache, injector: Injector, snapshot: int | None
    ) -> None:
        self._model, self._resource, self._cache, self._injector = model, resource, cache, injector
        self._position = 0
        self._log = model.store.log_of(resource)
        self._snapshot = snapshot
        self._relist_at: float | None = None
        self._bookmark_at: float | None = None
        self._held_until = 0.0
        self.frozen = False  # of a leader that has been deposed

    def due(self) -> float | None:
        now = self._model.now()
        waits = [due for due in (self._relist_at, self._bookmark_at) if due is not None]
        waiting = self._waiting()
        if waiting:
            arrived = self._arrived(waiting)
            waits.append(max(now if arrived else waiting[0].at + LAG_SECONDS, self._held_until))
        return min(waits, default=None)

    def deliver(self) -> list[Key]:
        now = self._model.now()
        if self.frozen:
            return []
        if self._relist_at is not None and self._relist_at <= now:
            return self.relist()
        if self._bookmark_at is not None and self._bookmark_at <= now:
            self._bookmark_at = None
            self._cache.apply(WatchEvent("BOOKMARK", self._model.bookmark(self._resource)))
        if now < self._held_until:
            return []
        keys: list[Key] = []
        waiting = self._waiting()
        for change in self._arrived(waiting) if waiting else ():
            self._injector.counts[Counted.EVENT] += 1
            kind = self._injector.struck(Counted.EVENT)
            if kind == "event-late":
                self._held_until = now + LATE_SECONDS
                return keys
            if kind == "watch-expired":
                return keys + self.relist()
            self._position = change.version
            if kind == "event-lost":
                self._relist_at, self._bookmark_at = now + RELIST_SECONDS, now + BOOKMARK_SECONDS
                continue
            for _ in range(2 if kind == "event-twice" else 1):
                keys += self._apply(change)
        return keys

    def relist(self) -> list[Key]:
        self._relist_at = self._bookmark_at = None
        store = self._model.store
        if self._resource not in self._model.kinds:
            return []
        version = store.version if self._snapshot is None else max(1, self._snapshot)
        if self._snapshot is not None:
            self._held_until = self._model.now() + SNAPSHOT_SECONDS
            self._snapshot = None
        items = [stored.document for stored in store.at(self._resource, version).values()]
        self._position = version
        copies = [{**it, "metadata": dict(it["metadata"])} for it in items]
        return _keys(self._cache.replace(copies, str(version)))

    def _apply(self, change: StoredChange) -> list[Key]:
        document = change.after.document
        copy = {**document, "metadata": dict(document["metadata"])}
        return _keys(self._cache.apply(WatchEvent(change.type, copy)))

    def _waiting(self) -> list[StoredChange]:
        return after(self._log, self._position)

    def _arrived(self, waiting: list[StoredChange]) -> list[StoredChange]:
        lag = self._lag()
        if not lag:
            return waiting
        old = self._model.now() - LAG_SECONDS
        late = len(waiting) - lag
        return [change for index, change in enumerate(waiting) if index < late or change.at <= old]

    def _lag(self) -> int:
        fault = self._injector.fault
        if fault is None or fault.counted is not Counted.RUN:
            return 0
        return fault.at if fault.kind in ("lag", f"lag-{self._name}") else 0

    @property
    def _name(self) -> str:
        return {"trainingjobs": "jobs", "rayclusters": "clusters"}.get(
            self._resource.plural, self._resource.plural
        )


def _keys(changes: list[Change]) -> list[Key]:
    return [key for change in changes if (key := change.indexed.belongs_to) is not None]
