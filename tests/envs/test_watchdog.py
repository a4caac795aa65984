"""The watchdog ends what hangs, and only that."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import threading
import time

import pytest

from rl_platform.envs.watchdog import EnvironmentHang, Watchdog


def tick(watchdog: Watchdog, seconds: float, swallowed: int = 0) -> None:
    """One tick that takes ``seconds``, after it has swallowed so many exceptions."""
    with watchdog:
        watchdog.beat += 1
        for _ in range(swallowed):
            with contextlib.suppress(EnvironmentHang):
                time.sleep(seconds)
        time.sleep(seconds)


def test_a_slow_tick_within_its_time_is_left_alone() -> None:
    with Watchdog(0.3) as watchdog:
        for _ in range(6):
            watchdog.beat += 1
            time.sleep(0.1)
            watchdog.beat += 1


def test_time_outside_of_environments_does_not_count() -> None:
    with Watchdog(0.1) as watchdog:
        watchdog.beat += 2
        time.sleep(0.4)


def test_each_environment_of_a_tick_has_its_own_time() -> None:
    watchdog = Watchdog(0.2)
    current = 0
    watchdog.progress = lambda: current
    with watchdog:
        watchdog.beat += 1
        for current in range(5):  # noqa: B007 - read by the watchdog
            time.sleep(0.12)
        watchdog.beat += 1


def test_a_hang_is_raised_where_it_is() -> None:
    with pytest.raises(EnvironmentHang, match=r"did not return within 0.1 s"):
        tick(Watchdog(0.1), 5)


def test_an_environment_that_swallows_the_exception_is_interrupted_again() -> None:
    with pytest.raises(EnvironmentHang):
        tick(Watchdog(0.1), 5, swallowed=2)


def test_signal_handlers_and_timers_are_put_back() -> None:
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        with Watchdog(5):
            pass
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_watchdog_works_again_after_a_tick_that_raised() -> None:
    watchdog = Watchdog(0.1)
    with pytest.raises(EnvironmentHang):
        tick(watchdog, 5)
    with watchdog:
        watchdog.beat += 1
        watchdog.beat += 1
        time.sleep(0.3)


def test_code_that_never_returns_to_python_is_reported_by_the_thread() -> None:
    messages: list[str] = []
    watchdog = Watchdog(0.1, messages.append, name="Stuck-v0")
    watchdog.progress = lambda: 3

    def body() -> None:
        with watchdog:
            watchdog.beat += 1
            ctypes.CDLL(None).usleep(600_000)
            watchdog.beat += 1

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    watchdog.close()
    assert messages == [
        "environment 'Stuck-v0' number 3 did not return within 0.1 s (environment.stepTimeoutSeconds)"
    ]


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="0 s; expected more than 0"):
        Watchdog(0)


def deaf(case: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.envs.deaf_process", case]
    return subprocess.run(command, capture_output=True, text=True, timeout=8, check=False)


@pytest.mark.parametrize("case", ["for_ever", "after_short_fragments"])
def test_code_that_lets_no_other_thread_run_ends_with_its_process(case: str) -> None:
    ended = deaf(case)
    assert ended.returncode == 1
    assert "Timeout (0:00:01" in ended.stderr
    assert "in for_ever" in ended.stderr


@pytest.mark.parametrize("case", ["many_constructors", "at_rest", "closed"])
def test_who_has_more_time_or_nothing_to_do_may_hold_the_lock(case: str) -> None:
    ended = deaf(case)
    assert (ended.returncode, ended.stderr) == (0, "")
