"""The threads that look at drivers: many jobs, few threads, and one slow head never holds up the others."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rl_operator.contact import contact, is_of, unfulfilled
from rl_operator.driver_contact import DriverOrder, DriverSighting, Key
from rl_operator.reach import Reach

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3.0
EAGER_SECONDS = 0.5
EAGER_LOOKS = 120
"""Something that is still not seen to hold after so many looks is waited for at the usual pace."""
ENDED_SECONDS = 30.0
SLOW_SECONDS = 1.0
"""A look that took longer marks a head as slow: such heads share half of the threads."""


@dataclass(slots=True)
class _Watched:
    order: DriverOrder
    sighting: DriverSighting | None = None
    due: float = 0.0
    looks: int = 0  # since the order changed
    slow: bool = False
    busy: bool = False  # a thread is looking
    changed: bool = False  # the order was replaced meanwhile


@dataclass(slots=True)
class _Queue:
    """Keys by the time they are due. An entry whose time is not the key's own any more is passed over."""

    entries: list[tuple[float, Key]] = field(default_factory=list)
    running: int = 0


class Pollers:
    """`DriverContacts` over ``threads`` threads. Times are monotonic but for the date of a sighting."""

    def __init__(
        self,
        reach: Reach,
        *,
        threads: int = 16,
        interval_seconds: float = INTERVAL_SECONDS,
        eager_seconds: float = EAGER_SECONDS,
    ) -> None:
        self._reach = reach
        self._interval, self._eager = interval_seconds, eager_seconds
        self._watched: dict[Key, _Watched] = {}
        self._queues = {False: _Queue(), True: _Queue()}  # by whether the heads in it are slow
        self._slow_threads = max(1, threads // 2)
        self._wake: Callable[[Key], None] = lambda key: None
        self._condition = threading.Condition()
        self._timekeeper: threading.Thread | None = None
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"poller-{number}", daemon=True)
            for number in range(max(2, threads))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """Looks that are under way are waited for, so long at most."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        until = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def order(self, key: Key, order: DriverOrder | None) -> None:
        """Replace what is wanted; None forgets the job. Never blocks."""
        with self._condition:
            watched = self._watched.get(key)
            if order is None:
                self._watched.pop(key, None)
            elif watched is None:
                self._watched[key] = _Watched(order)
                self._schedule(key, 0.0)
            elif watched.order != order:
                watched.order, watched.looks, watched.changed = order, 0, True
                if not watched.busy:
                    self._schedule(key, 0.0)

    def sighting(self, key: Key) -> DriverSighting | None:
        """Of the attempt and the head that are ordered now; None before the first look at them."""
        with self._condition:
            watched = self._watched.get(key)
            if watched is None or watched.sighting is None or not is_of(watched.sighting, watched.order):
                return None
            return watched.sighting

    def on_sighting(self, wake: Callable[[Key], None]) -> None:
        """Called from the pollers' threads after a sighting that says something new."""
        self._wake = wake

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            key, watched, order, before = taken
            started = time.monotonic()
            try:
                seen = contact(order, before, self._reach, time.time(), started)
            except Exception:
                # A fault of ours must not end the thread, nor look at this driver in a tight loop.
                log.exception("looking at the driver of %s/%s failed", *key)
                seen = None
            if self._done(key, watched, seen, time.monotonic() - started):
                self._wake(key)

    def _next(self) -> tuple[Key, _Watched, DriverOrder, DriverSighting | None] | None:
        """Wait for a key that is due; None when closed. One thread waits for the time, the others for it."""
        with self._condition:
            while not self._closed:
                wait, slow = min((self._wait_for(slow), slow) for slow in (False, True))
                if wait <= 0:
                    return self._take(slow)
                if self._timekeeper is not None:
                    self._condition.wait()
                    continue
                self._timekeeper = threading.current_thread()
                self._condition.wait(wait)
                if self._timekeeper is threading.current_thread():
                    self._timekeeper = None
            return None

    def _take(self, slow: bool) -> tuple[Key, _Watched, DriverOrder, DriverSighting | None]:
        _, key = heapq.heappop(self._queues[slow].entries)
        watched = self._watched[key]
        watched.busy, watched.changed = True, False
        self._queues[slow].running += 1
        if self._timekeeper is None:
            self._condition.notify()
        return key, watched, watched.order, watched.sighting

    def _wait_for(self, slow: bool) -> float:
        """Seconds until a key of this queue may be looked at."""
        queue = self._queues[slow]
        while queue.entries:
            due, key = queue.entries[0]
            watched = self._watched.get(key)
            if watched is not None and not watched.busy and watched.slow == slow and watched.due == due:
                break
            heapq.heappop(queue.entries)
        full = slow and queue.running >= self._slow_threads
        return threading.TIMEOUT_MAX if full or not queue.entries else queue.entries[0][0] - time.monotonic()

    def _done(self, key: Key, watched: _Watched, seen: DriverSighting | None, seconds: float) -> bool:
        """Note what was seen; whether somebody should hear of it."""
        with self._condition:
            self._queues[watched.slow].running -= 1
            before, watched.busy = watched.sighting, False
            watched.slow = seconds > SLOW_SECONDS
            watched.looks += 1
            self._look_again()
            if self._watched.get(key) is not watched:
                return False  # forgotten meanwhile
            if seen is not None and is_of(seen, watched.order):
                watched.sighting = seen
            self._schedule(key, 0.0 if watched.changed else self._pause(watched))
            return watched.sighting != before

    def _pause(self, watched: _Watched) -> float:
        if unfulfilled(watched.order, watched.sighting) and watched.looks <= EAGER_LOOKS and not watched.slow:
            return self._eager
        state = watched.sighting.state if watched.sighting is not None else None
        return max(self._interval, ENDED_SECONDS) if state is not None and state.ended else self._interval

    def _schedule(self, key: Key, pause: float) -> None:
        watched = self._watched[key]
        watched.due = time.monotonic() + pause
        heapq.heappush(self._queues[watched.slow].entries, (watched.due, key))
        self._look_again()

    def _look_again(self) -> None:
        """What is due next may have changed: another thread takes over the waiting."""
        self._timekeeper = None
        self._condition.notify()
