"""A million agent steps of the fuzz environment through the rollout worker, against an uncut reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from rl_platform.data.trajectory import ENDED, Trajectory
from rl_platform.envs.fuzz import Chances, FuzzEnv
from rl_platform.envs.pettingzoo_adapter import ParallelAdapter
from rl_platform.workers.rollout_worker import RolloutWorker, environment_seeds
from tests.envs import fuzz_reference as ref

POLICIES = [("even", ["agent_[024]"]), ("odd", ["agent_*"])]
HARSH = Chances(spawn=0.5, stillborn=0.1, skip=0.4, terminate=0.15, truncate=0.15, first_step=0.4, end=0.1)
CALM = Chances(present_at_reset=1.0, skip=0.0, terminate=0.01, truncate=0.01, late_reward=0.05)


def policy_of(agents: int) -> dict[str, str]:
    return {f"agent_{i}": "even" if i in (0, 2, 4) else "odd" for i in range(agents)}


@dataclass
class Expected:
    """The reference rows of one policy's lanes, one after the other."""

    rows: np.ndarray  # [N, WIDTH]
    base: np.ndarray  # [L] where a lane's rows start
    count: np.ndarray  # [L]
    held: np.ndarray  # bool [L]
    delivered: np.ndarray  # [L]


def expected(adapter: ParallelAdapter, policy: str, references: list[ref.Reference]) -> Expected:
    lanes = adapter.lanes[policy]
    agents = [lanes.agents[a] for a in lanes.agent]
    parts = [references[env].rows[agent] for env, agent in zip(lanes.env, agents, strict=True)]
    held = [references[env].held[agent] for env, agent in zip(lanes.env, agents, strict=True)]
    count = np.array([len(part) for part in parts])
    base = np.cumsum([0, *count[:-1]])
    return Expected(np.concatenate(parts), base, count, np.array(held), np.zeros(len(lanes), np.int64))


def check(trajectory: Trajectory, wanted: Expected, look_back: int) -> None:
    """Every row, look-back included, is the next one of its lane in the reference."""
    k = trajectory.look_back
    assert k == look_back
    np.testing.assert_array_equal(trajectory.back, np.minimum(k, wanted.delivered))
    assert (wanted.delivered + trajectory.length <= wanted.count).all()
    position = np.arange(len(trajectory.reward))[:, None] - k
    row, lane = np.nonzero((position >= -trajectory.back) & (position < trajectory.length))
    truth = wanted.rows[wanted.base[lane] + wanted.delivered[lane] + row - k]
    got = np.zeros_like(truth)
    got[:, ref.OBS] = trajectory.obs["obs"][row, lane]
    got[:, ref.ACTION] = trajectory.action["action"][row, lane]
    got[:, ref.REWARD] = trajectory.reward[row, lane]
    got[:, ref.FLAGS] = trajectory.flags[row, lane]
    got[:, ref.TICK] = trajectory.tick[row, lane]
    got[:, ref.LIFE] = trajectory.episode[row, lane]
    got[:, ref.VALUE] = trajectory.extra["value"][row, lane]
    goes_on = (trajectory.flags[row, lane] & ENDED) == 0
    got[goes_on, ref.NEXT_VALUE] = trajectory.extra["value"][row + 1, lane][goes_on]
    got[goes_on, ref.NEXT_OBS] = trajectory.obs["obs"][row + 1, lane][goes_on]
    place = np.full(trajectory.reward.shape, -1)
    place[row, lane] = np.arange(len(row))
    at = place[trajectory.final.row, trajectory.final.lane]
    assert (at >= 0).all()
    assert (trajectory.final.row >= k).all()
    got[at, ref.HAS_FINAL] = 1
    got[at, ref.FINAL_VALUE] = trajectory.final.extra["value"]
    got[at, ref.FINAL_OBS] = trajectory.final.obs["obs"]
    truth[row < k, ref.HAS_FINAL :] = 0  # the finals of look-back rows were delivered with them
    np.testing.assert_array_equal(got, truth)
    check_states(trajectory)
    wanted.delivered += trajectory.length


def check_states(trajectory: Trajectory) -> None:
    """A stored state is that before its row, for rows that do not begin a life."""
    k, every = trajectory.look_back, trajectory.state_every
    for index, state in enumerate(trajectory.state["count"]):
        row = k + index * every
        lanes = np.flatnonzero(index * every < trajectory.length)
        lanes = lanes[(trajectory.flags[row, lanes] & 1) == 0]
        np.testing.assert_array_equal(state[lanes, 0], trajectory.extra["value"][row, lanes] - 1)


def run(
    chances: Chances, envs: int, steps: int, look_back: int, state_every: int | None, seed: int, agents: int
) -> None:
    adapter = ParallelAdapter(lambda: FuzzEnv(agents, chances=chances), envs, POLICIES[: min(2, agents)])
    actors = {policy: ref.CountingActor(lanes.spaces) for policy, lanes in adapter.lanes.items()}
    worker = RolloutWorker(adapter, actors, look_back=look_back, state_every=state_every, seed=seed, source=3)
    rng = np.random.default_rng(seed)
    fragments, taken, ticks = [], 0, []
    while taken < steps:
        ticks.append(int(rng.integers(1, 60)) if rng.random() < 0.8 else 1)
        fragments.append(worker.sample(ticks[-1]))
        taken += sum(fragments[-1].agent_steps.values())
        assert fragments[-1].env_steps == envs * ticks[-1]
    seeds = environment_seeds(seed, 3, envs, 0)
    references = [
        ref.reference(FuzzEnv(agents, chances=chances), one, sum(ticks), policy_of(agents)) for one in seeds
    ]
    for policy in adapter.lanes:
        wanted = expected(adapter, policy, references)
        for fragment in fragments:
            trajectory = fragment.trajectories[policy]
            assert fragment.agent_steps[policy] == int(trajectory.length.sum())
            check(trajectory, wanted, look_back)
        # What is not delivered is exactly what may still be paid: one row for each lane that waits.
        np.testing.assert_array_equal(wanted.count - wanted.delivered, wanted.held)
    check_sums(fragments, adapter, references)


def check_sums(fragments: list, adapter: ParallelAdapter, references: list[ref.Reference]) -> None:
    """Rewards are conserved, and episodes are reported in their order with the returns of their lives."""
    given = sum(each.given for each in references)
    in_rows = sum(rows[:, ref.REWARD].sum() for each in references for rows in each.rows.values())
    unclaimed = sum(each.unclaimed for each in references)
    assert given == in_rows + unclaimed
    assert adapter.unclaimed_reward == unclaimed
    wanted = [(now, env, *rest) for env, each in enumerate(references) for now, *rest in each.episodes]
    wanted.sort(key=lambda episode: episode[:2])
    got = [episode for fragment in fragments for episode in fragment.episodes]
    assert [(e.episode_return, e.length) for e in got] == [(paid, length) for _, _, paid, length, _ in wanted]
    for episode, (*_, lives) in zip(got, wanted, strict=True):
        shown = {policy: sorted(returns) for policy, returns in episode.agent_returns.items()}
        assert shown == {policy: sorted(returns) for policy, returns in lives.items()}


@pytest.mark.parametrize(
    ("chances", "envs", "steps", "look_back", "state_every", "agents"),
    [
        (Chances(), 64, 400_000, 0, None, 6),
        (HARSH, 48, 250_000, 3, 5, 6),
        (CALM, 32, 200_000, 2, 16, 9),
        (HARSH, 32, 100_000, 1, 1, 2),
        (Chances(end=0.2), 50, 50_000, 5, None, 1),
    ],
)
def test_a_million_steps_arrive_exactly_once_and_as_uncut(
    chances: Chances, envs: int, steps: int, look_back: int, state_every: int | None, agents: int
) -> None:
    run(chances, envs, steps, look_back, state_every, seed=steps, agents=agents)
