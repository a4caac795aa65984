"""A process whose environments keep Python's lock in native code; its argument is a case below."""

from __future__ import annotations

import ctypes
import signal
import sys
import time

from rl_platform.envs import watchdog
from rl_platform.envs.watchdog import Watchdog

watchdog.GRACE_SECONDS = 0.6
LIBC = ctypes.PyDLL(None)  # which, unlike CDLL, keeps the lock


def for_ever(watched: Watchdog) -> None:
    with watched:
        watched.beat += 1
        LIBC.pause()


def after_short_fragments(watched: Watchdog) -> None:
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        with watched:
            watched.beat += 2
    for_ever(watched)


def many_constructors(watched: Watchdog) -> None:
    with watched:
        watched.beat += 2
    with watched.one_call(100):
        LIBC.sleep(3)


def at_rest(watched: Watchdog) -> None:
    with watched:
        watched.beat += 2
    time.sleep(0.5)
    LIBC.sleep(3)


def closed(watched: Watchdog) -> None:
    with watched:
        watched.beat += 2
    watched.close()
    LIBC.sleep(3)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # it would end a sleep of C's
    globals()[sys.argv[1]](Watchdog(0.2, print))
