"""Rounds of workers that come, go and die: what is learned from together was sampled with one policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.execution.batching import concat_batches
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item
from rl_platform.execution.remote_sampling import LOST, RemoteRollouts
from rl_platform.execution.run import Published, Run
from rl_platform.workers.fragment import Fragment, RemoteTrajectory
from rl_platform.workers.group import Request
from rl_platform.workers.worker_losses import WorkerLost

ENVS, WORKERS = 8, 3


class Group:
    """Workers that are there, or die at a request, as a script says; they answer at once."""

    num_envs, count = ENVS, WORKERS

    def __init__(self, there: list[set[int]], dying: list[bool], resets: int = 0) -> None:
        self.there, self.dying, self.resets = iter(there), iter(dying), resets
        self.sequence = 0

    def revive(self) -> None:
        pass

    def name_silent(self, awaited: Sequence[Request], asked: int) -> None:
        pass

    def losses(self) -> int:
        return 0

    def ready(self) -> list[int]:
        return sorted(next(self.there, set(range(WORKERS))))

    def request(self, worker: int, ticks: int, published: Any) -> Request:
        self.sequence += 1
        steps = ticks * ENVS
        taken = steps - self.resets
        head = RemoteTrajectory("default", published["default"].version, worker, self.sequence, taken)
        fragment = Fragment({"default": head}, taken, {"default": taken}, [], ticks=ticks)
        return Request(worker, "here", worker, object(), fragment, ticks, 0.0)

    def receive(self, request: Request) -> Fragment:
        if next(self.dying, False):
            raise WorkerLost("gone", True)
        fragment: Fragment = request.data
        return fragment


@settings(max_examples=300, deadline=None)
@given(
    there=st.lists(st.sets(st.integers(0, WORKERS - 1), min_size=1), max_size=30),
    dying=st.lists(st.booleans(), max_size=30),
    batch=st.integers(1, 200),
    settled=st.sets(st.integers(0, 60)),
)
def test_a_batch_is_of_one_policy_version_and_no_fragment_is_left_out(
    there: list[set[int]], dying: list[bool], batch: int, settled: set[int]
) -> None:
    group = Group(there, dying)
    run = Run(group, None, ("default",), lambda steps: {})
    source, gather = RemoteRollouts(run, group, batch, 0), concat_batches(env_steps=batch)
    counters = Counters()
    batches: list[Item] = []
    waiting = 0
    for turn in range(60):
        run.published["default"] = Published(None, {}, counters.version)
        if turn in settled:
            source.settle(counters)
        source.issue()
        waits = source.waits()
        if not waits and not source.state.fragments:
            continue  # all that was asked for is lost
        item = source.take(counters, waits[0] if waits else None)
        if item is None:
            continue
        waiting += item.env_steps
        for each in gather.fn(item, counters):
            batches.append(each)
            assert {head.version for head in each.data} == {counters.version}
            assert batch <= each.env_steps == waiting
            waiting, counters.version = 0, counters.version + 1
    assert sum(each.env_steps for each in batches) + waiting == counters.env_steps
    on_their_way = sum(it.ticks * ENVS for it in source.outstanding)
    on_their_way += sum(it.env_steps for it in source.state.fragments)
    asked = group.sequence * source._ticks() * ENVS
    assert counters.env_steps + counters.dropped.get(LOST, 0) + on_their_way == asked


@pytest.mark.parametrize("resets", [0, 3])
def test_all_workers_in_every_round_make_batches_of_the_size_that_is_asked_for(resets: int) -> None:
    """Ticks in which environments only reset, ``resets`` in a fragment, make no batch twice as large."""
    group = Group([], [], resets)
    run = Run(group, None, ("default",), lambda steps: {})
    run.published["default"] = Published(None, {}, 0)
    source, gather = RemoteRollouts(run, group, 96, 0), concat_batches(env_steps=96)
    counters = Counters()
    sizes = []
    for _ in range(12):
        source.issue()
        item = source.take(counters, source.waits()[0])
        assert item is not None
        sizes += [each.env_steps for each in gather.fn(item, counters)]
    assert sizes == [96 - WORKERS * resets] * 4
