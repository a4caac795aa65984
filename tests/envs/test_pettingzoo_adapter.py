from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.data.tree import ACTION_MASK
from rl_platform.envs.adapter import Arrivals, EnvironmentFault
from rl_platform.envs.fuzz import FuzzEnv
from rl_platform.envs.pettingzoo_adapter import ParallelAdapter
from rl_platform.envs.spaces import UnsupportedSpace
from rl_platform.envs.watchdog import Watchdog
from rl_platform.workers.rollout_worker import RolloutWorker, environment_seeds
from tests.envs import fuzz_reference as ref
from tests.workers.rows import lane_rows

ALL = [("default", ["*"])]
Step = tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]


class Scripted(ParallelEnv):  # type: ignore[misc]  # PettingZoo is untyped
    """Plays back what is given: the first reset's observations, then the outcome of each step."""

    metadata = {"name": "scripted"}  # noqa: RUF012

    def __init__(
        self, *steps: Any, infos: Any = None, alive: Any = ("a", "b"), names: Any = ("a", "b")
    ) -> None:
        self.possible_agents = list(names)
        self.steps, self.infos, self.alive = list(steps), infos, list(alive)
        self.actions: list[dict[str, Any]] = []

    def observation_space(self, agent: str) -> Box:
        return Box(0, 9, (3,) if agent == "wide" else (1,))

    def action_space(self, agent: str) -> Discrete:
        return Discrete(2, start=1)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents = list(self.alive)
        return {agent: obs(0) for agent in self.alive}, self.infos or {}

    def step(self, actions: dict[str, Any]) -> Step:
        self.actions.append(actions)
        outcome = self.steps[len(self.actions) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return {"obs": {}, "reward": {}, "terminated": {}, "truncated": {}, "info": {}, **outcome}.values()  # type: ignore[return-value]


def obs(number: float) -> np.ndarray:
    return np.array([number], np.float32)


def arrivals_of(adapter: ParallelAdapter) -> dict[str, Arrivals]:
    return {
        policy: Arrivals(
            {
                path: np.zeros((len(lanes), *leaf.shape), leaf.dtype)
                for path, leaf in lanes.spaces.obs.items()
            },
            np.zeros(len(lanes), np.float32),
            np.zeros(len(lanes), np.uint8),
            np.zeros(len(lanes), bool),
            np.zeros(len(lanes), bool),
        )
        for policy, lanes in adapter.lanes.items()
    }


def played(
    env: Scripted, ticks: int, **options: Any
) -> tuple[ParallelAdapter, dict[str, Arrivals], np.ndarray]:
    """The arrivals of the last of some ticks."""
    adapter = ParallelAdapter(lambda: env, 1, ALL, name="scripted", **options)
    arrivals = arrivals_of(adapter)
    adapter.reset_into(arrivals, [0])
    over = np.zeros(1, bool)
    for _ in range(ticks):
        for arrival in arrivals.values():
            arrival.reward[:], arrival.ended[:] = 0, 0
            arrival.final.clear()
        over = adapter.step_into({p: np.array([1, 2]) for p in arrivals}, arrivals)
    return adapter, arrivals, over


def test_an_agent_that_skips_is_not_asked_and_keeps_its_life() -> None:
    env = Scripted({"obs": {"a": obs(1)}}, {"obs": {"a": obs(2), "b": obs(3)}})
    _, arrivals, over = played(env, 2)
    assert env.actions == [{"a": 1, "b": 2}, {"a": 1}]
    arrival = arrivals["default"]
    assert arrival.ready.tolist() == [True, True]
    assert not arrival.first.any()
    assert arrival.obs["obs"][:, 0].tolist() == [2, 3]
    assert not over.any()


def test_an_environment_may_keep_the_actions_it_is_given() -> None:
    class Keeps(Scripted):
        def action_space(self, agent: str) -> Any:
            return Box(-9, 9, (2,))

    env = Keeps({"obs": {"a": obs(1), "b": obs(1)}}, {})
    adapter = ParallelAdapter(lambda: env, 1, ALL)
    arrivals, actions = arrivals_of(adapter), np.ones((2, 2), np.float32)
    adapter.reset_into(arrivals, [0])
    adapter.step_into({"default": actions}, arrivals)
    actions[:] = 5
    adapter.step_into({"default": actions}, arrivals)
    assert [each["a"].tolist() for each in env.actions] == [[1, 1], [5, 5]]


def test_a_reward_without_an_own_step_in_the_episode_is_counted_apart() -> None:
    env = Scripted({"obs": {"a": obs(1)}, "reward": {"a": 2, "b": 5}}, alive=("a",))
    adapter, arrivals, _ = played(env, 1)
    assert arrivals["default"].reward.tolist() == [2, 0]
    assert adapter.unclaimed_reward == 5


def test_terminated_stands_over_truncated_and_last_observations_are_kept() -> None:
    step = {
        "obs": {"a": obs(4)},
        "terminated": {"a": True, "b": False},
        "truncated": {"a": True, "b": np.True_},
    }
    _, arrivals, _ = played(Scripted(step), 1)
    assert arrivals["default"].ended.tolist() == [TERMINATED, TRUNCATED]
    ((lane, last),) = arrivals["default"].final
    assert (lane, last["obs"].tolist()) == (0, [4])


def test_the_step_limit_truncates_who_lives_and_resets() -> None:
    step = {"obs": {"a": obs(5), "b": obs(6)}, "terminated": {"a": True}}
    _, arrivals, over = played(Scripted(step), 1, max_episode_steps=1)
    arrival = arrivals["default"]
    assert over.all()
    assert arrival.ended.tolist() == [TERMINATED, TRUNCATED]
    assert [(lane, last["obs"].tolist()) for lane, last in arrival.final] == [(0, [5]), (1, [6])]
    assert arrival.obs["obs"][:, 0].tolist() == [0, 0]
    assert arrival.first.all()


def test_the_fuzz_environment_under_a_limit_is_that_of_the_reference() -> None:
    adapter = ParallelAdapter(FuzzEnv, 4, ALL, max_episode_steps=5)
    lanes = adapter.lanes["default"]
    worker = RolloutWorker(adapter, {"default": ref.CountingActor(lanes.spaces)})
    trajectory = worker.sample(100).trajectories["default"]
    policy_of = dict.fromkeys(lanes.agents, "default")
    for env, seed in enumerate(environment_seeds(0, 0, 4, 0)):
        wanted = ref.reference(FuzzEnv(), seed, 100, policy_of, limit=5)
        for agent in range(6):
            lane = 6 * env + agent
            rows = wanted.rows[lanes.agents[agent]][: trajectory.length[lane]]
            kept = slice(0, len(rows))
            assert trajectory.obs["obs"][kept, lane].tolist() == rows[:, ref.OBS].tolist()
            assert trajectory.flags[kept, lane].tolist() == rows[:, ref.FLAGS].tolist()
            assert trajectory.tick[kept, lane].tolist() == rows[:, ref.TICK].tolist()
            assert trajectory.reward[kept, lane].tolist() == rows[:, ref.REWARD].tolist()
    assert trajectory.tick.max() == 4


def test_agents_belong_to_the_first_policy_whose_pattern_matches() -> None:
    policies = [("hunters", ["wolf_*", "fox"]), ("others", ["*"])]
    names = ["sheep_0", "wolf_0", "fox", "wolf_1"]
    adapter = ParallelAdapter(lambda: Scripted(names=names, alive=names), 2, policies)
    hunters, others = adapter.lanes["hunters"], adapter.lanes["others"]
    assert hunters.agents == others.agents == tuple(names)
    assert hunters.env.tolist() == [0, 0, 0, 1, 1, 1]
    assert hunters.agent.tolist() == [1, 2, 3, 1, 2, 3]
    assert (others.env.tolist(), others.agent.tolist()) == ([0, 1], [0, 0])


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ([("x", ["a"])], r"agent 'b' matches no pattern of policies \{'x': \['a'\]\}"),
        ([("x", ["*"]), ("y", ["b"])], "policy 'y' gets no agent: .* none of .'a', 'b'"),
    ],
)
def test_agents_and_policies_that_do_not_meet_are_refused(policies: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ParallelAdapter(Scripted, 1, policies)


def test_one_policy_for_agents_with_different_spaces_is_refused() -> None:
    with pytest.raises(
        UnsupportedSpace, match="policy 'default': agents 'a' and 'wide' have different spaces"
    ):
        ParallelAdapter(lambda: Scripted(names=("a", "wide"), alive=("a",)), 1, ALL)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (ValueError("out of fuel"), "step 1, field step: raised ValueError: out of fuel"),
        (
            {"obs": {"b": np.zeros(2, np.float32)}},
            r"step 1, field obs of agent 'b': has shape \(2,\); expected \(1,\)",
        ),
        (
            {"obs": {"c": obs(0)}},
            "step 1, field observations: names agent 'c'; possible_agents are .'a', 'b'",
        ),
        ({"reward": {"a": [1, 2]}}, "step 1, field reward of agent 'a': is list"),
        ({"truncated": {"a": "no"}}, "step 1, field truncations of agent 'a': is 'no'"),
        (
            {"obs": {"a": np.zeros(3)}, "terminated": {"a": True}},
            r"step 1, field obs of agent 'a': has shape \(3,\)",
        ),
    ],
)
def test_what_is_wrong_with_an_agent_is_named(step: Any, problem: str) -> None:
    with pytest.raises(EnvironmentFault, match="environment 'scripted' number 0, " + problem):
        played(Scripted(step), 1)


def test_an_environment_that_hangs_is_ended_and_named() -> None:
    class Hangs(FuzzEnv):
        def step(self, actions: dict[str, int]) -> Any:
            while self.get_state()["counts"][2] == 2:
                time.sleep(0.01)
            return super().step(actions)

    adapter = ParallelAdapter(Hangs, 2, ALL, name="hangs")
    worker = RolloutWorker(
        adapter, {"default": ref.CountingActor(adapter.lanes["default"].spaces)}, watchdog=Watchdog(0.4)
    )
    with pytest.raises(EnvironmentFault, match=r"'hangs' number 0, step 3, .*did not return within 0\.4 s"):
        worker.sample(5)


def masks(**of: list[int]) -> dict[str, Mapping[str, Any]]:
    return {agent: {"action_mask": np.array(mask, np.int8)} for agent, mask in of.items()}


def test_masks_in_the_infos_become_leaves() -> None:
    step = {
        "obs": {"a": obs(1), "b": obs(2)},
        "terminated": {"b": True},
        "info": masks(a=[1, 0], b=[0, 0]),
    }
    _, arrivals, _ = played(Scripted(step, infos=masks(a=[0, 1], b=[1, 1])), 1)
    assert arrivals["default"].obs[ACTION_MASK].tolist() == [[1, 0], [1, 1]]
    assert arrivals["default"].final[0][1][ACTION_MASK].tolist() == [0, 0]
    silent = Scripted({**step, "info": masks(a=[1, 0])}, infos=masks(a=[0, 1], b=[1, 1]))
    assert played(silent, 1)[1]["default"].final[0][1][ACTION_MASK].tolist() == [1, 1]
    without = Scripted({"obs": {"a": obs(1)}}, infos=masks(a=[0, 1], b=[1, 1]))
    with pytest.raises(
        EnvironmentFault, match=r"step 1, field info\['action_mask'\] of agent 'a': is missing"
    ):
        played(without, 1)


def test_an_agent_that_may_do_nothing_is_named() -> None:
    step = {"obs": {"a": obs(1), "b": obs(1)}, "info": masks(a=[1, 0], b=[0, 0])}
    env = Scripted(step, infos=masks(a=[0, 1], b=[1, 1]))
    told = f"step 1, field {ACTION_MASK} of agent 'b': leaves no legal action"
    with pytest.raises(EnvironmentFault, match=told):
        played(env, 1)


def test_a_mask_that_comes_later_is_not_passed_over() -> None:
    env = Scripted({"obs": {"a": obs(1)}, "info": masks(a=[1, 0])})
    told = r"step 1, field info\['action_mask'\] of agent 'a': is there, and was not at the first reset"
    with pytest.raises(EnvironmentFault, match=told):
        played(env, 1)


def fuzz_worker(limit: int | None) -> RolloutWorker:
    policies = [("even", ["*[024]"]), ("odd", ["*"])]
    adapter = ParallelAdapter(FuzzEnv, 5, policies, max_episode_steps=limit)
    actors = {policy: ref.CountingActor(lanes.spaces) for policy, lanes in adapter.lanes.items()}
    return RolloutWorker(adapter, actors, look_back=2, state_every=4, seed=9)


@pytest.mark.parametrize(("before", "limit"), [(1, None), (13, None), (40, 9)])
def test_a_restored_worker_goes_on_as_if_it_had_not_stopped(before: int, limit: int | None) -> None:
    whole, first, second = fuzz_worker(limit), fuzz_worker(limit), fuzz_worker(limit)
    whole.sample(before)
    first.sample(before)
    document, arrays = first.snapshot()
    second.sample(7)  # what it did before must not matter
    second.restore(json.loads(json.dumps(document)), {name: leaf.copy() for name, leaf in arrays.items()})
    for ticks in (1, 30, 2):
        wanted, got = whole.sample(ticks), second.sample(ticks)
        assert got.episodes == wanted.episodes
        for policy, trajectory in wanted.trajectories.items():
            other = got.trajectories[policy]
            assert other.length.tolist() == trajectory.length.tolist()
            assert other.back.tolist() == trajectory.back.tolist()
            for lane in range(len(trajectory.length)):
                assert lane_rows([other], lane) == lane_rows([trajectory], lane)


def test_the_fuzz_environment_repeats_itself_and_goes_on_from_a_state() -> None:
    def run(env: FuzzEnv, ticks: int) -> list[Any]:
        seen: list[Any] = []
        for _ in range(ticks):
            made = env.step(dict.fromkeys(env.get_state()["awaited"], 2))
            seen.append(
                [{agent: np.asarray(each).tolist() for agent, each in part.items()} for part in made[:4]]
            )
            if not env.agents:
                env.reset()
        return seen

    one, two = FuzzEnv(), FuzzEnv()
    one.reset(seed=4)
    two.reset(seed=3)
    two.reset(seed=4)
    assert run(one, 50) == run(two, 50)
    state = json.loads(json.dumps(one.get_state()))
    wanted = run(one, 50)
    other = FuzzEnv()
    other.reset(seed=1)
    other.set_state(state)
    assert run(other, 50) == wanted
    with pytest.raises(ValueError, match="expected actions of"):
        one.step({"nobody": 0})
