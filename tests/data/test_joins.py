from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from rl_platform.data.joins import Joint, join
from rl_platform.data.trajectory import EPISODE, Trajectory
from rl_platform.envs.fuzz import Chances, FuzzEnv
from rl_platform.envs.pettingzoo_adapter import ParallelAdapter
from rl_platform.workers.rollout_worker import RolloutWorker
from tests.envs.fuzz_reference import CountingActor

POLICIES = [("even", ["agent_[024]"]), ("odd", ["agent_*"])]
CHANCES = Chances(end=0.2, skip=0.4)


def fragments(ticks: list[int], envs: int = 3, agents: int = 5) -> list[list[Trajectory]]:
    adapter = ParallelAdapter(lambda: FuzzEnv(agents, chances=CHANCES), envs, POLICIES)
    actors = {policy: CountingActor(lanes.spaces) for policy, lanes in adapter.lanes.items()}
    worker = RolloutWorker(adapter, actors, look_back=2, seed=1)
    return [list(worker.sample(count).trajectories.values()) for count in ticks]


def by_hand(trajectories: list[Trajectory]) -> dict[int, list[dict[int, tuple[float, ...]]]]:
    """By environment its joint steps in order: agent → (life, own step, tick, agent, action, reward)."""
    steps: dict[int, dict[tuple[int, int], dict[int, tuple[float, ...]]]] = defaultdict(dict)
    for trajectory in trajectories:
        for lane, length in enumerate(trajectory.length):
            for row in range(trajectory.look_back, trajectory.look_back + length):
                key = (int(trajectory.episode[row, lane]) >> 32, int(trajectory.tick[row, lane]))
                seen = (*trajectory.obs["obs"][row, lane].tolist(), float(trajectory.reward[row, lane]))
                own = steps[int(trajectory.env[lane])].setdefault(key, {})
                own[int(trajectory.agent[lane])] = seen
    return {env: [steps[env][key] for key in sorted(steps[env])] for env in steps}


def shown(joint: Joint, step: int, env: int) -> dict[int, tuple[float, ...]]:
    return {
        int(joint.agent[a]): (
            *joint.columns["obs"][step, env, a].tolist(),
            float(joint.columns["reward"][step, env, a]),
        )
        for a in np.flatnonzero(joint.present[step, env])
    }


def test_a_join_has_every_row_once_at_its_environment_and_tick() -> None:
    for trajectories in fragments([30, 1, 2, 30]):
        joint, wanted = join(trajectories), by_hand(trajectories)
        assert joint.present.sum() == sum(trajectory.steps for trajectory in trajectories)
        for e, env in enumerate(joint.env.tolist()):
            assert joint.length[e] == len(wanted.get(env, []))
            for step, agents in enumerate(wanted.get(env, [])):
                assert shown(joint, step, e) == agents
                # In one tick of an environment, all its agents see the same number of the tick.
                assert {each[2] for each in agents.values()} == {float(joint.tick[step, e])}
        assert not joint.columns["obs"][~joint.present].any()


def test_steps_of_two_episodes_with_the_same_tick_stay_apart() -> None:
    (trajectories,) = fragments([200], envs=2)
    joint = join(trajectories)
    moments = joint.episode[: joint.length[0], 0] * int(EPISODE) + joint.tick[: joint.length[0], 0]
    assert (np.diff(moments) > 0).all()
    assert len(np.unique(joint.tick[: joint.length[0], 0])) < joint.length[0]


def test_columns_of_a_recipe_are_joined_instead() -> None:
    (trajectories,) = fragments([12])
    k = trajectories[0].look_back
    own = [{"advantage": 2 * trajectory.reward[k:]} for trajectory in trajectories]
    advantage = join(trajectories, own).columns
    assert list(advantage) == ["advantage"]
    np.testing.assert_array_equal(advantage["advantage"], 2 * join(trajectories).columns["reward"])


def test_trajectories_of_different_fragments_are_refused() -> None:
    first, second = fragments([3, 3])
    with pytest.raises(ValueError, match=r"\(0, 0\), \(0, 1\).*one fragment"):
        join([first[0], second[1]])


def test_an_agent_in_two_lanes_is_refused() -> None:
    (trajectories,) = fragments([3])
    with pytest.raises(ValueError, match="two lanes"):
        join([trajectories[0], trajectories[0]])


def test_columns_that_differ_between_policies_are_named() -> None:
    (trajectories,) = fragments([3])
    wide = {"obs": np.zeros((*trajectories[1].obs["obs"].shape[:2], 7), np.float32)}
    with pytest.raises(ValueError, match=r"'even' and 'odd' differ in columns \['obs'\]"):
        join([trajectories[0], replace(trajectories[1], obs=wide)])
