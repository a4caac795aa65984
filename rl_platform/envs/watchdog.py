"""Ends environments that hang: neither a step nor a reset may take longer than it is given.

In the main thread a repeating timer signal looks whether the count of beats has moved, and raises inside
the environment's own code. Where a signal cannot help (another thread, or code that never returns to
Python), a daemon thread looks at the same count and calls ``on_hang``. Where not even that thread gets to
run, because native code keeps Python's lock, `faulthandler` ends the process, with its traceback on stderr.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

GRACE_SECONDS = 300.0
"""Beyond the time that a hang takes otherwise; a machine may be so busy, or a process stopped for a while."""
STDERR = 2


class EnvironmentHang(TimeoutError):
    """Raised inside an environment that did not come back in time; adapters name the environment and the
    step.
    """


class Watchdog:
    """Watches what runs inside ``with watchdog:``, which must add 1 to ``beat`` before and after each
    tick.

    An odd count means that environments are running; ``progress`` (where the adapter can tell) is the
    number of the one that is at it, so that each has its own ``timeout_seconds``. Too long a step is found
    within another half of that. ``on_hang`` gets one message, at twice the time, if the signal could not
    end it; it runs in a thread of its own and should end the process.
    """

    def __init__(
        self, timeout_seconds: float, on_hang: Callable[[str], None] | None = None, name: str = "environment"
    ) -> None:
        if timeout_seconds <= 0:
            raise ValueError(f"the time for one step is {timeout_seconds} s; expected more than 0")
        self.beat = 0
        self.timeout_seconds, self.name = timeout_seconds, name
        self.progress: Callable[[], int | None] = lambda: None
        self._on_hang = on_hang
        self._seen: tuple[int, int | None] = (-1, None)
        self._times = 0
        self._calls = 1
        self._before: Any = None
        self._by_signal = False
        self._inside = False
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._armed = 0.0  # seconds that the thread may be away for; 0: for ever
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Watchdog:
        self._seen, self._times = (-1, None), 0
        self.beat += self.beat & 1  # a tick that raised has left it odd
        with self._lock:
            self._inside = True
            if self._on_hang is not None and self._armed < self._patience:
                self._arm()
        self._by_signal = threading.current_thread() is threading.main_thread()
        if self._by_signal:
            self._before = signal.signal(signal.SIGALRM, self._alarm)
            signal.setitimer(signal.ITIMER_REAL, self._period, self._period)
        if self._on_hang is not None and self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="environment watchdog", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._by_signal:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
        self._inside = False

    @contextmanager
    def one_call(self, calls: int = 1) -> Iterator[None]:
        """What runs inside must come back in time: ``calls`` constructors, resets or steps, none of which
        can be told from the next.
        """
        self._calls = calls
        try:
            with self:
                self.beat += 1
                yield
                self.beat += 1
        finally:
            self._calls = 1

    def close(self) -> None:
        """Stop the thread, if there is one."""
        with self._lock:
            self._closed.set()
            self._disarm()

    @property
    def _period(self) -> float:
        return self.timeout_seconds / 2

    @property
    def _patience(self) -> float:
        return min(2 * self.timeout_seconds * self._calls + GRACE_SECONDS, threading.TIMEOUT_MAX)

    def _arm(self) -> None:
        """From now on; there is one such timer in a process. At rest it may not run: nobody waits then."""
        self._armed = self._patience
        faulthandler.dump_traceback_later(self._armed, exit=True, file=STDERR)

    def _disarm(self) -> None:
        if self._armed:
            self._armed = 0.0
            faulthandler.cancel_dump_traceback_later()

    def _alive(self, at_work: bool) -> None:
        """From the thread, which gets to run."""
        with self._lock:
            if self._closed.is_set() or not (at_work or self._inside):
                self._disarm()
            else:
                self._arm()

    def _problem(self) -> str:
        each = "" if self._calls == 1 else f" for each of {self._calls}"
        seconds = self.timeout_seconds * self._calls
        return f"did not return within {seconds:g} s (environment.stepTimeoutSeconds{each})"

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        now = (self.beat, self.progress())
        if not self.beat & 1 or now != self._seen:
            self._seen, self._times = now, 0
            return
        self._times += 1
        if self._times >= 2 * self._calls:
            raise EnvironmentHang(self._problem())

    def _watch(self) -> None:
        seen: tuple[int, int | None] = (-1, None)
        times = 0
        while not self._closed.wait(self._period):
            now = (self.beat, self.progress())
            self._alive(now != seen)
            if not self._inside or not self.beat & 1 or now != seen:
                seen, times = now, 0
                continue
            times += 1
            if times == 4 * self._calls and self._on_hang is not None:
                number = "" if now[1] is None else f" number {now[1]}"
                self._on_hang(f"environment {self.name!r}{number} {self._problem()}")


def stand_still(number: int, frame: FrameType | None) -> None:
    """For SIGTSTP: a process that a person stops and goes on with later does not hang."""
    del number, frame
    faulthandler.cancel_dump_traceback_later()  # the watchdog's thread will set it again
    os.kill(os.getpid(), signal.SIGSTOP)
