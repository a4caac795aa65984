"""The pollers' threads: they look often enough, a slow head holds up no other, nothing secret leaks."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rl_operator.driver_contact import Head, JobState, Key
from rl_operator.polling import Pollers
from rl_operator.runtime.transport import ConnectionLost, Request, Response
from tests.rl_operator.ray_head import TOKEN, Here, RayHead, order_for

RUNNING = Response(200, b'{"status": "RUNNING"}')


@dataclass
class Heads:
    """Every head answers ``RUNNING``; those named in ``slow`` take their time; ``failing`` raises a fault."""

    slow: dict[str, float] = field(default_factory=dict)
    failing: bool = False
    looks: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, head: Head, port: int, request: Request) -> Response:
        if port != 8265:
            raise ConnectionLost("no driver")
        with self._lock:
            self.looks[head.pod] += 1
        time.sleep(self.slow.get(head.pod, 0.0))
        if self.failing:
            raise RuntimeError("a fault of ours")
        return RUNNING


def started(reach: Heads | Here, threads: int = 4, interval: float = 0.1) -> Pollers:
    pollers = Pollers(reach, threads=threads, interval_seconds=interval, eager_seconds=0.02)
    pollers.start()
    return pollers


def wait_until(holds: object, seconds: float = 20.0) -> None:
    assert callable(holds)
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)


@pytest.fixture
def ray(tmp_path: Path) -> Iterator[RayHead]:
    head = RayHead(tmp_path)
    yield head
    head.close()


def test_a_job_is_submitted_seen_running_and_seen_to_end(ray: RayHead) -> None:
    pollers = started(Here({"head": ray.port}))
    woken: list[Key] = []
    pollers.on_sighting(woken.append)
    key = ("ns", "job")
    pollers.order(key, order_for(submit=True, entrypoint="sleep 0.5; echo done"))
    wait_until(lambda: (seen := pollers.sighting(key)) and seen.state is JobState.RUNNING)
    wait_until(lambda: (seen := pollers.sighting(key)) and seen.log_tail == "done\n")
    assert set(woken) == {key}
    assert 2 <= len(woken) <= 4  # a look that shows nothing new wakes nobody
    pollers.order(key, None)
    assert pollers.sighting(key) is None
    pollers.close()


def test_slow_heads_hold_up_no_other() -> None:
    heads = Heads(slow={f"slow-{number}": 1.2 for number in range(12)})
    pollers = started(heads)
    for pod in [*heads.slow, "quick"]:
        pollers.order(("ns", pod), order_for(pod=pod))
    wait_until(lambda: all(pollers.sighting(("ns", pod)) for pod in heads.slow))  # now they are known as slow
    before = heads.looks["quick"]
    time.sleep(3)
    assert heads.looks["quick"] - before >= 10
    assert min(heads.looks[pod] for pod in heads.slow) >= 1
    pollers.close(0.0)


def test_many_jobs_are_looked_at_in_turn() -> None:
    heads = Heads()
    pollers = started(heads, interval=0.3)
    pods = [f"head-{number}" for number in range(60)]
    for pod in pods:
        pollers.order(("ns", pod), order_for(pod=pod))
    time.sleep(3)
    pollers.close()
    counts = [heads.looks[pod] for pod in pods]
    assert min(counts) >= 4
    assert max(counts) <= 12


def test_an_order_that_changes_is_acted_on_at_once_and_an_old_sighting_is_not_shown() -> None:
    heads = Heads()
    pollers = started(heads, interval=60.0)
    key = ("ns", "job")
    pollers.order(key, order_for(pod="one"))
    wait_until(lambda: pollers.sighting(key))
    pollers.order(key, order_for(attempt=2, pod="two"))
    wait_until(lambda: (seen := pollers.sighting(key)) and seen.head_uid == "uid-of-two")
    looks = heads.looks.total()
    pollers.order(key, order_for(attempt=2, pod="two"))  # the same again changes nothing
    time.sleep(0.3)
    assert heads.looks.total() == looks
    pollers.close()


def test_an_order_that_changes_during_a_look_is_not_forgotten() -> None:
    heads = Heads(slow={"one": 0.5})
    pollers = started(heads, interval=60.0)
    key = ("ns", "job")
    pollers.order(key, order_for(pod="one"))
    wait_until(lambda: heads.looks["one"])
    pollers.order(key, order_for(attempt=2, pod="two"))
    assert pollers.sighting(key) is None
    wait_until(lambda: (seen := pollers.sighting(key)) and seen.submission_id == "u-2")
    pollers.close()


def test_a_fault_in_a_look_ends_no_thread_and_shows_no_token(caplog: pytest.LogCaptureFixture) -> None:
    heads = Heads(failing=True)
    with caplog.at_level(logging.DEBUG):
        pollers = started(heads, threads=2)
        for number in range(4):
            pollers.order(("ns", f"job-{number}"), order_for(pod=f"head-{number}"))
        wait_until(lambda: heads.looks.total() > 12)
        heads.failing = False
        wait_until(lambda: pollers.sighting(("ns", "job-3")))
        pollers.close()
    assert "looking at the driver of ns/job-0 failed" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(order_for())
