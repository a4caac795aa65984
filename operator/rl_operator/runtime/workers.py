"""Threads that take keys from the queue, reconcile them, and decide when each is looked at again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, Protocol

from rl_operator.runtime.api import ApiError, Conflict, UnknownOutcome
from rl_operator.runtime.queue import K, WorkQueue

log = logging.getLogger(__name__)


class Result(StrEnum):
    """As controller-runtime counts them."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    REQUEUE = "requeue"  # somebody else wrote first, or the answer was lost: look again
    ERROR = "error"


class PassObserver(Protocol):
    """Told of each pass."""

    def began(self) -> None: ...

    def ended(self, result: Result, seconds: float) -> None: ...


class Workers(Generic[K]):
    """``reconcile(key)``: seconds until the next look, None for none; whatever it raises is tried again."""

    def __init__(
        self,
        queue: WorkQueue[K],
        reconcile: Callable[[K], float | None],
        count: int,
        observer: PassObserver,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._observer = observer
        self._clock = clock
        self._threads = [
            threading.Thread(target=self._run, name=f"worker-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def join(self, timeout_seconds: float) -> bool:
        """After the queue was closed: wait for the passes in hand. Whether all of them ended."""
        until = self._clock() + timeout_seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - self._clock()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (key := self._queue.get()) is not None:
            self.work(key)

    def work(self, key: K) -> Result:
        """One pass over a key that `get` gave."""
        self._observer.began()
        started = self._clock()
        result = self._pass(key)
        self._observer.ended(result, self._clock() - started)
        self._queue.done(key)
        return result

    def _pass(self, key: K) -> Result:
        try:
            again = self._reconcile(key)
        except (Conflict, UnknownOutcome) as error:
            log.info("look again: %s", error, extra={"key": key})
            self._later(key, error)
            return Result.REQUEUE
        except ApiError as error:
            log.warning("%s", error, extra={"key": key})
            self._later(key, error)
            return Result.ERROR
        except Exception:
            # A fault of ours in one job must not stop the others.
            log.exception("a pass failed", extra={"key": key})
            self._queue.add_rate_limited(key)
            return Result.ERROR
        self._queue.forget(key)
        if again is None:
            return Result.SUCCESS
        self._queue.add_after(key, again)
        return Result.REQUEUE_AFTER

    def _later(self, key: K, error: ApiError) -> None:
        if error.retry_after_seconds:
            self._queue.add_after(key, error.retry_after_seconds)
        else:
            self._queue.add_rate_limited(key)
