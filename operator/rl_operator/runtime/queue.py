"""Keys waiting for a worker: each once, never two workers on one key, failures delayed more and more.

The semantics are those of client-go's work queue. A key added while it is worked on comes again.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from rl_operator.runtime.token_bucket import TokenBucket

FIRST_DELAY_SECONDS = 0.005
LONGEST_DELAY_SECONDS = 1000.0
RETRIES_PER_SECOND = 10.0
RETRIES_AT_ONCE = 100

K = TypeVar("K", bound=Hashable)


class QueueObserver(Protocol):
    """Told of what passes; seconds by the queue's clock. Called with the queue locked: be quick."""

    def added(self) -> None: ...

    def retried(self) -> None: ...

    def started(self, waited_seconds: float) -> None: ...

    def finished(self, worked_seconds: float) -> None: ...


class _Nobody:
    def added(self) -> None: ...

    def retried(self) -> None: ...

    def started(self, waited_seconds: float) -> None: ...

    def finished(self, worked_seconds: float) -> None: ...


class WorkQueue(Generic[K]):
    """Thread-safe. With a clock of one's own, use ``get(block=False)``: waiting is by real time."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, observer: QueueObserver | None = None
    ) -> None:
        self._clock = clock
        self._observer = observer or _Nobody()
        self._bucket = TokenBucket(RETRIES_PER_SECOND, RETRIES_AT_ONCE, clock)
        self._ready = threading.Condition()
        self._waiting: deque[K] = deque()
        self._dirty: dict[K, float] = {}  # to be worked on → since when
        self._processing: dict[K, float] = {}  # worked on now → since when
        self._later: dict[K, float] = {}  # key → when
        self._heap: list[tuple[float, int, K]] = []  # entries that `_later` does not confirm are stale
        self._order = 0
        self._failures: dict[K, int] = {}
        self._closed = False

    def add(self, key: K) -> None:
        with self._ready:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """The earliest of several wishes counts."""
        with self._ready:
            if self._closed:
                return
            if seconds <= 0:
                self._add(key)
                return
            due = self._clock() + seconds
            if due < self._later.get(key, float("inf")):
                self._later[key] = due
                self._order += 1
                heapq.heappush(self._heap, (due, self._order, key))
                self._ready.notify()

    def add_rate_limited(self, key: K) -> None:
        """After a failure: 5 ms, doubled each time up to 1000 s; 10 a second of all keys together."""
        with self._ready:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            self._observer.retried()
        delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(failures, 30))
        self.add_after(key, max(delay, self._bucket.reserve()))

    def forget(self, key: K) -> None:
        """It went well: the next failure is a first one."""
        with self._ready:
            self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        with self._ready:
            return self._failures.get(key, 0)

    def get(self, *, block: bool = True) -> K | None:
        """The next key, which nobody else gets until `done`. None: the queue is closed, or nothing is due."""
        with self._ready:
            while True:
                self._take_due()
                if self._closed:
                    return None
                if self._waiting:
                    return self._start(self._waiting.popleft())
                if not block:
                    return None
                next_due = self.next_due()
                self._ready.wait(None if next_due is None else max(0.0, next_due - self._clock()))

    def done(self, key: K) -> None:
        with self._ready:
            self._observer.finished(self._clock() - self._processing.pop(key))
            if key in self._dirty:
                self._waiting.append(key)
                self._ready.notify()

    def close(self) -> None:
        """Hand out nothing more. What is worked on may be finished."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def depth(self) -> int:
        """Keys that are ready and wait for a worker."""
        with self._ready:
            return len(self._waiting)

    def next_due(self) -> float | None:
        """When the next delayed key is ready, by the queue's clock."""
        with self._ready:
            while self._heap and self._later.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            return self._heap[0][0] if self._heap else None

    def running_seconds(self) -> list[float]:
        """For how long each key that is worked on has been."""
        with self._ready:
            now = self._clock()
            return [now - since for since in self._processing.values()]

    def _add(self, key: K) -> None:
        if self._closed or key in self._dirty:
            return
        self._observer.added()
        self._dirty[key] = self._clock()
        if key not in self._processing:
            self._waiting.append(key)
            self._ready.notify()

    def _start(self, key: K) -> K:
        now = self._clock()
        self._observer.started(now - self._dirty.pop(key))
        self._processing[key] = now
        return key

    def _take_due(self) -> None:
        while (due := self.next_due()) is not None and due <= self._clock():
            key = heapq.heappop(self._heap)[2]
            del self._later[key]
            self._add(key)
