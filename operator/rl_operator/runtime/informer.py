"""Keeps a cache like the server: list, watch, and list again whenever the watch can't be trusted."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from rl_operator.runtime.ahead import one_ahead
from rl_operator.runtime.api import Api, ApiError, Expired, KindMissing, Object
from rl_operator.runtime.cache import Cache, Change
from rl_operator.runtime.resources import Resource

log = logging.getLogger(__name__)

# Two pages are in memory at a time. Beside 10,000 jobs, pages of 100 cost 12 MiB more, those of 200 25.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Pairs are ranges that a value is drawn from, so that many informers do not act at once."""

    watch: tuple[float, float] = (240.0, 300.0)
    silence: tuple[float, float] = (75.0, 90.0)  # bookmarks come about once a minute
    relist: tuple[float, float] = (600.0, 900.0)
    missing: float = 30.0
    first_retry: float = 0.8
    longest_retry: float = 30.0
    shortest_watch: float = 1.0  # one that ends sooner, and empty, counts as a failure


class Informer:
    """Feeds ``cache`` from one kind, in one namespace or all, and tells ``on_change`` of each difference.

    `run` is for a thread of its own. An error that is no ApiError ends it: it is a fault of ours.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        cache: Cache,
        on_change: Callable[[Change], None],
        *,
        namespace: str | None = None,
        label_selector: str = "",
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.cache = cache
        self.synced = False  # a whole list has been taken
        self.missing = False  # the server does not serve the kind
        self.fault = ""  # why the last turn failed; empty: it did not
        self.relists: Counter[str] = Counter()  # by reason
        self._api = api
        self._on_change = on_change
        self._selector = label_selector
        self._timing = timing or Timing()
        self._clock = clock
        self._chance = chance or random.Random()
        self._stop = threading.Event()
        self._version: str | None = None  # where the watch goes on; None: list first
        self._relist_reason = "start"
        self._relist_at = 0.0
        self._failures = 0
        self._heard_at = self._turned_at = clock()

    @property
    def name(self) -> str:
        return self.resource.plural + (f"/{self.namespace}" if self.namespace else "")

    def event_age_seconds(self) -> float:
        """Since the server said something: a list, an event or a bookmark."""
        return self._clock() - self._heard_at

    def turn_age_seconds(self) -> float:
        """Since this loop did something, a failed attempt included: large when the thread is stuck."""
        return self._clock() - self._turned_at

    def stop(self) -> None:
        """Takes effect after the next event, or when the watch ends."""
        self._stop.set()

    def run(self) -> None:
        while not self._stop.is_set():
            wait = self.turn()
            if wait > 0:
                self._stop.wait(wait)

    def turn(self) -> float:
        """List if need be, watch until that ends; seconds to wait before the next turn."""
        self._turned_at = self._clock()
        try:
            if self._version is None:
                self._list()
            quick = self._watch()
        except KindMissing:
            return self._kind_missing()
        except Expired as gone:
            return self._failed(gone, relist="expired")
        except ApiError as error:
            return self._failed(error)
        self.fault = ""
        self._failures = self._failures + 1 if quick else 0
        return self._back_off(0.0) if quick else 0.0

    def _list(self) -> None:
        pages = one_ahead(
            self._api.pages(self.resource, self.namespace, label_selector=self._selector, limit=PAGE)
        )
        first = next(pages)
        version = first.resource_version
        items = chain.from_iterable(self._heard(page.items) for page in chain([first], pages))
        del first  # not kept for as long as the others are read
        changes = self.cache.replace(items, version, self.namespace)
        self.relists[self._relist_reason] += 1
        self._version, self._relist_reason = version, "error"
        self._relist_at = self._clock() + self._chance.uniform(*self._timing.relist)
        self.synced, self.missing = True, False
        self._tell(changes)

    def _watch(self) -> bool:
        """Until it ends or a list is due. Whether it ended at once, without an event."""
        started, events = self._clock(), 0
        for event in self._api.watch(
            self.resource,
            self.namespace,
            resource_version=self._version or "",
            label_selector=self._selector,
            timeout_seconds=self._chance.uniform(*self._timing.watch),
            read_timeout_seconds=self._chance.uniform(*self._timing.silence),
        ):
            self._heard([])
            events += 1
            self._failures = 0
            self._tell(self.cache.apply(event, self.namespace))
            self._version = str(event.object["metadata"]["resourceVersion"])
            if self._stop.is_set() or self._due():
                return False
        self._due()
        return events == 0 and self._clock() - started < self._timing.shortest_watch

    def _due(self) -> bool:
        """Whether to list again, to be sure."""
        due = self._clock() >= self._relist_at
        if due:
            self._version, self._relist_reason = None, "periodic"
        return due

    def _heard(self, items: list[Object]) -> Iterator[Object]:
        self._heard_at = self._turned_at = self._clock()
        return iter(items)

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            self._on_change(change)

    def _kind_missing(self) -> float:
        """What is known stays known: a definition that is being replaced comes back with its objects."""
        if not self.missing:
            log.warning("%s: the server does not serve this kind", self.name)
        self.missing, self.fault = True, "the kind is not served"
        self._version, self._relist_reason = None, "missing"
        return self._timing.missing

    def _failed(self, error: ApiError, relist: str | None = None) -> float:
        self._failures += 1
        self.fault = str(error)
        log.log(logging.INFO if relist else logging.WARNING, "%s: %s", self.name, error)
        if relist is not None:
            self._version, self._relist_reason = None, relist
            if self._failures == 1:
                return 0.0
        return self._back_off(error.retry_after_seconds or 0.0)

    def _back_off(self, least: float) -> float:
        longest = min(
            self._timing.longest_retry, self._timing.first_retry * 2.0 ** min(self._failures - 1, 16)
        )
        return max(least, longest * self._chance.uniform(0.5, 1.0))
