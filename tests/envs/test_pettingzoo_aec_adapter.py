from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo import AECEnv

from rl_platform.data.trajectory import FIRST, TERMINATED, TRUNCATED, Trajectory
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.pettingzoo_aec_adapter import AecAdapter
from rl_platform.workers.rollout_worker import RolloutWorker, environment_seeds
from tests.envs.fuzz_reference import CountingActor, choose

POLICIES = [("even", ["agent_[02]"]), ("odd", ["*"])]


class Turns(AECEnv):  # type: ignore[misc]  # PettingZoo is untyped
    """Agents act in turn. Every step pays everybody alive a number of its own; agents drop out by chance."""

    metadata = {"name": "turns"}  # noqa: RUF012

    def __init__(self, agents: int = 4, stuck_at: int | None = None) -> None:
        super().__init__()
        self.possible_agents = [f"agent_{i}" for i in range(agents)]
        self.stuck_at = stuck_at
        self.given = 0

    def observation_space(self, agent: str) -> Box:
        return Box(0, np.inf, (5,))

    def action_space(self, agent: str) -> Discrete:
        return Discrete(3)

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        if seed is not None:
            self.random, self.given = np.random.default_rng(seed), 0
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, Any] = {agent: {} for agent in self.agents}
        self.turn = 0
        self.last_action = 0
        self.agent_selection = self.agents[int(self.random.integers(len(self.agents)))]

    def observe(self, agent: str) -> np.ndarray:
        return np.array([self.given, self.turn, self.agents.index(agent), self.last_action, 0], np.float32)

    def step(self, action: int | None) -> None:
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        assert action is not None
        self.turn += 1
        if self.turn == self.stuck_at:
            raise RuntimeError("whose turn is it?")
        self.last_action = None if action is None else int(action)
        self._cumulative_rewards[agent] = 0.0
        alive = [a for a in self.agents if not (self.terminations[a] or self.truncations[a])]
        for each in alive:
            self.given += 1
            self.rewards[each] = float(self.given)
        following = alive[(alive.index(agent) + 1) % len(alive)]
        if self.random.random() < 0.15:
            loser = alive[int(self.random.integers(len(alive)))]
            (self.terminations if self.random.random() < 0.5 else self.truncations)[loser] = True
            if loser == following and len(alive) > 1:
                following = alive[(alive.index(loser) + 1) % len(alive)]
        self._accumulate_rewards()
        self.agent_selection = following
        self._deads_step_first()

    def get_state(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in STATE}
        return {**json.loads(json.dumps(plain)), "random": self.random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state["random"]
        for name in STATE:
            setattr(self, name, state[name])


STATE = (
    "agents",
    "rewards",
    "_cumulative_rewards",
    "terminations",
    "truncations",
    "infos",
    "turn",
    "last_action",
    "agent_selection",
    "given",
)
Row = dict[str, Any]


def by_the_book(seed: int, steps: int, limit: int | None = None) -> dict[str, list[Row]]:
    """PettingZoo's own loop: act, and find the reward of the act in `last` at the agent's next turn."""
    env = Turns()
    env.reset(seed=seed)
    rows: dict[str, list[Row]] = {agent: [] for agent in env.possible_agents}
    done = 0
    while True:
        tick = 0
        acted: set[str] = set()
        for agent in env.agent_iter():
            obs, reward, terminated, truncated, _ = env.last()
            if agent in acted:
                rows[agent][-1]["reward"] = reward
            if terminated or truncated:
                if agent in acted:
                    rows[agent][-1]["flags"] |= int(TERMINATED if terminated else TRUNCATED)
                    rows[agent][-1]["final"] = obs.tolist()
                env.step(None)
                continue
            if tick == limit:
                for each in env.agents:
                    if each in acted:
                        rows[each][-1]["flags"] |= int(TRUNCATED)
                        rows[each][-1]["reward"] = env._cumulative_rewards[each]
                        rows[each][-1]["final"] = env.observe(each).tolist()
                break
            if done == steps:
                return rows
            first = agent not in acted
            acted.add(agent)
            action = int(choose(obs))
            rows[agent].append(
                {
                    "obs": obs.tolist(),
                    "action": action,
                    "flags": int(FIRST) * first,
                    "tick": tick,
                    "reward": None,
                }
            )
            env.step(action)
            tick, done = tick + 1, done + 1
        env.reset()


def worker(limit: int | None = None, **options: Any) -> RolloutWorker:
    adapter = AecAdapter(Turns, 3, POLICIES, max_episode_steps=limit)
    actors = {policy: CountingActor(lanes.spaces) for policy, lanes in adapter.lanes.items()}
    return RolloutWorker(adapter, actors, seed=2, **options)


def rows_of(trajectories: list[Trajectory], lane: int) -> list[Row]:
    rows = []
    for trajectory in trajectories:
        k, final = trajectory.look_back, trajectory.final
        ends = {
            (int(row), int(own)): i for i, (row, own) in enumerate(zip(final.row, final.lane, strict=True))
        }
        for row in range(k, k + int(trajectory.length[lane])):
            kept: Row = {
                "obs": trajectory.obs["obs"][row, lane].tolist(),
                "action": int(trajectory.action["action"][row, lane]),
                "flags": int(trajectory.flags[row, lane]),
                "tick": int(trajectory.tick[row, lane]),
                "reward": float(trajectory.reward[row, lane]),
            }
            if (row, lane) in ends:
                kept["final"] = final.obs["obs"][ends[row, lane]].tolist()
            rows.append(kept)
    return rows


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=6), limit=st.sampled_from([None, 7]))
def test_turns_give_the_rows_of_pettingzoos_own_loop_however_cut(cuts: list[int], limit: int | None) -> None:
    made = worker(limit, look_back=1)
    fragments = [made.sample(ticks) for ticks in cuts]
    seeds = environment_seeds(2, 0, 3, 0)
    references = [by_the_book(seed, sum(cuts), limit) for seed in seeds]
    for policy, lanes in made.adapter.lanes.items():
        kept = [fragment.trajectories[policy] for fragment in fragments]
        for lane, (env, agent) in enumerate(zip(lanes.env, lanes.agent, strict=True)):
            rows, wanted = rows_of(kept, lane), references[env][lanes.agents[agent]]
            assert rows == wanted[: len(rows)]
            assert len(wanted) - len(rows) <= 1  # whoever waits for its next turn
    assert sum(fragment.env_steps for fragment in fragments) == 3 * sum(cuts)


def test_a_limit_ends_episodes_and_all_rewards_arrive() -> None:
    made = worker(limit=5)
    fragment = made.sample(50)
    assert max(episode.length for episode in fragment.episodes) == 5
    for episode in fragment.episodes:
        assert episode.episode_return == sum(sum(returns) for returns in episode.agent_returns.values()) > 0


@pytest.mark.parametrize("limit", [None, 9])
def test_a_restored_worker_goes_on_as_if_it_had_not_stopped(limit: int | None) -> None:
    whole, first, second = worker(limit), worker(limit), worker(limit)
    whole.sample(25)
    first.sample(25)
    document, arrays = first.snapshot()
    second.sample(3)
    second.restore(json.loads(json.dumps(document)), arrays)
    wanted, got = whole.sample(40), second.sample(40)
    assert got.episodes == wanted.episodes
    for policy, trajectory in wanted.trajectories.items():
        for lane in range(len(trajectory.length)):
            assert rows_of([got.trajectories[policy]], lane) == rows_of([trajectory], lane)


def test_an_exception_names_environment_and_turn() -> None:
    adapter = AecAdapter(lambda: Turns(stuck_at=3), 2, [("default", ["*"])], name="turns")
    made = RolloutWorker(adapter, {"default": CountingActor(adapter.lanes["default"].spaces)})
    with pytest.raises(
        EnvironmentFault, match=r"'turns' number 0, step 3, field step: raised RuntimeError: whose"
    ):
        made.sample(50)
