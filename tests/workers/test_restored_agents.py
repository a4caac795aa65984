"""Many agents, saved and put back between fragments: held rows and open lives go on exactly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.envs.fuzz import Chances, FuzzEnv
from rl_platform.envs.pettingzoo_adapter import ParallelAdapter
from rl_platform.workers.rollout_worker import Fragment, RolloutWorker
from tests.workers.rows import lane_rows
from tests.workers.simple_actors import CountingActor, SumActor

POLICIES = [("left", ["agent_[01]"]), ("right", ["*"])]
CHANCES = Chances(spawn=0.4, skip=0.3, terminate=0.1, truncate=0.1, late_reward=0.4)


def worker(actor: type[SumActor], look_back: int) -> RolloutWorker:
    adapter = ParallelAdapter(lambda: FuzzEnv(4, chances=CHANCES), 3, POLICIES, name="fuzz")
    actors = {policy: actor(lanes.spaces) for policy, lanes in adapter.lanes.items()}
    return RolloutWorker(adapter, actors, look_back=look_back, state_every=4, seed=5, collect_moments=True)


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    after=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    look_back=st.integers(0, 2),
    actor=st.sampled_from([SumActor, CountingActor]),
)
def test_a_restored_worker_goes_on_as_if_nothing_had_happened(
    before: list[int], after: list[int], look_back: int, actor: type[SumActor]
) -> None:
    made, other = worker(actor, look_back), worker(actor, look_back)
    for ticks in before:
        made.sample(ticks)
    document, arrays = made.snapshot()
    other.restore(json.loads(json.dumps(document)), {name: leaf.copy() for name, leaf in arrays.items()})
    for ticks in after:
        same(made.sample(ticks), other.sample(ticks))


def test_a_snapshot_is_not_changed_by_what_happens_later() -> None:
    made = worker(CountingActor, 2)
    made.sample(7)
    document, arrays = made.snapshot()
    kept: Any = json.dumps(document), {name: leaf.copy() for name, leaf in arrays.items()}
    made.sample(7)
    assert json.dumps(document) == kept[0]
    assert all(np.array_equal(leaf, kept[1][name]) for name, leaf in arrays.items())


def test_a_reset_leaves_no_trace_of_the_lives_before() -> None:
    made, fresh = worker(CountingActor, 2), worker(CountingActor, 2)
    made.sample(13)
    made.reset(4)
    fresh.reset(4)
    first, reference = made.sample(9), fresh.sample(9)
    assert (first.abandoned.steps > 0, reference.abandoned.steps) == (True, 0)
    assert first.episodes == reference.episodes
    for policy, trajectory in first.trajectories.items():
        assert (trajectory.back == 0).all()
        for lane in range(len(trajectory.length)):
            rows = lane_rows([trajectory], lane)
            wanted = lane_rows([reference.trajectories[policy]], lane)
            assert [dict(row, episode=0) for row in rows] == [dict(row, episode=0) for row in wanted]


def same(one: Fragment, other: Fragment) -> None:
    assert (one.env_steps, one.agent_steps, one.episodes) == (
        other.env_steps,
        other.agent_steps,
        other.episodes,
    )
    for policy, trajectory in one.trajectories.items():
        twin = other.trajectories[policy]
        assert trajectory.sequence == twin.sequence
        assert np.array_equal(trajectory.back, twin.back)
        assert np.array_equal(trajectory.length, twin.length)
        for lane in range(len(trajectory.length)):
            assert lane_rows([trajectory], lane) == lane_rows([twin], lane)
        for path, leaf in trajectory.state.items():
            assert np.array_equal(leaf, twin.state[path])
    for (_, seen), (_, seen_too) in zip(one.moments, other.moments, strict=True):
        assert all(np.array_equal(seen[path].m2, seen_too[path].m2) for path in seen)
