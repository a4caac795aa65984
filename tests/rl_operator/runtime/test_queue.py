"""The work queue against a plain model of what it promises, on a clock of our own."""

from __future__ import annotations

import threading
import time

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rl_operator.runtime.queue import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS, WorkQueue
from tests.rl_operator.runtime.clocks import HandClock

KEYS = st.sampled_from("abc")


class Seen:
    """Counts what a queue tells its observer."""

    def __init__(self) -> None:
        self.adds = self.retries = 0
        self.waited: list[float] = []
        self.worked: list[float] = []

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def started(self, waited_seconds: float) -> None:
        self.waited.append(waited_seconds)

    def finished(self, worked_seconds: float) -> None:
        self.worked.append(worked_seconds)


class QueueMachine(RuleBasedStateMachine):
    """``wanted``: keys that somebody must get; ``due``: when a delayed key becomes wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.queue: WorkQueue[str] = WorkQueue(clock=self.clock)
        self.wanted: set[str] = set()
        self.due: dict[str, float] = {}
        self.held: set[str] = set()

    def _ripen(self) -> None:
        ripe = {key for key, due in self.due.items() if due <= self.clock.now}
        self.wanted |= ripe
        for key in ripe:
            del self.due[key]

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.wanted.add(key)

    @rule(key=KEYS, seconds=st.floats(0.001, 10))
    def add_after(self, key: str, seconds: float) -> None:
        self.queue.add_after(key, seconds)
        self.due[key] = min(self.clock.now + seconds, self.due.get(key, float("inf")))

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def get(self) -> None:
        self._ripen()
        key = self.queue.get(block=False)
        free = self.wanted - self.held
        assert (key in free) if free else key is None
        if key is not None:
            self.wanted.discard(key)
            self.held.add(key)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.done(key)
        self.held.discard(key)

    @invariant()
    def next_due_is_the_earliest(self) -> None:
        earliest = min(self.due.values(), default=None)
        if earliest is None or earliest > self.clock.now:
            assert self.queue.next_due() == earliest

    def teardown(self) -> None:
        """Nothing is lost: whoever goes on working gets every key, and then none."""
        for key in self.held:
            self.queue.done(key)
        self.clock.now += 100
        self._ripen()
        got = set()
        while (key := self.queue.get(block=False)) is not None:
            assert key not in got
            got.add(key)
            self.queue.done(key)
        assert got == self.wanted


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)


def test_failures_wait_twice_as_long_each_time_up_to_a_bound_and_forgetting_begins_anew() -> None:
    clock = HandClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    delays = []
    for _ in range(25):
        queue.add_rate_limited("a")
        due = queue.next_due()
        assert due is not None
        delays.append(due - clock.now)
        clock.now = due
        assert queue.get(block=False) == "a"
        queue.done("a")
        clock.now += 1  # refills the bucket
    wanted = [min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0**number) for number in range(25)]
    assert [round(it, 6) for it in delays] == [round(it, 6) for it in wanted]
    assert queue.failures("a") == 25
    queue.forget("a")
    queue.add_rate_limited("a")
    assert queue.next_due() == clock.now + FIRST_DELAY_SECONDS


def test_many_keys_that_fail_share_ten_retries_a_second() -> None:
    clock = HandClock()
    queue: WorkQueue[int] = WorkQueue(clock=clock)
    for key in range(200):
        queue.add_rate_limited(key)
    got = 0
    for second, at_most in ((1.0, 110), (10.0, 200)):
        clock.now = second
        while queue.get(block=False) is not None:
            got += 1
        assert got <= at_most
    assert got == 200


def test_waiting_and_working_times_are_told() -> None:
    clock, seen = HandClock(), Seen()
    queue: WorkQueue[str] = WorkQueue(clock=clock, observer=seen)
    queue.add("a")
    queue.add("a")
    clock.now += 2
    assert queue.depth() == 1
    queue.get(block=False)
    queue.add("a")
    clock.now += 3
    assert queue.running_seconds() == [3]
    assert queue.depth() == 0
    queue.done("a")
    assert queue.depth() == 1
    assert (seen.adds, seen.waited, seen.worked) == (2, [2], [3])


def test_a_waiting_worker_wakes_for_a_delayed_key_and_for_the_end() -> None:
    queue: WorkQueue[str] = WorkQueue()
    got: list[str | None] = []

    def work() -> None:
        got.append(queue.get())
        got.append(queue.get())

    worker = threading.Thread(target=work)
    worker.start()
    started = time.monotonic()
    queue.add_after("late", 30)
    queue.add_after("soon", 0.05)
    while not got and time.monotonic() < started + 10:
        time.sleep(0.005)
    assert time.monotonic() - started >= 0.05
    queue.close()
    worker.join(10)
    assert got == ["soon", None]
    queue.add("after the end")
    assert queue.get() is None
