"""What a rollout worker must deliver of a `FuzzEnv`: the raw environment driven with plain dicts, uncut."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rl_platform.data.spaces import ActionSpace, Spaces
from rl_platform.data.trajectory import EPISODE, FIRST, TERMINATED, TRUNCATED
from rl_platform.data.tree import Tree
from rl_platform.envs.fuzz import FuzzEnv
from rl_platform.models.policy import Act

OBS, ACTION, REWARD, FLAGS, TICK, LIFE = slice(0, 5), 5, 6, 7, 8, 9
VALUE, NEXT_VALUE, NEXT_OBS = 10, 11, slice(12, 17)
HAS_FINAL, FINAL_VALUE, FINAL_OBS, WIDTH = 17, 18, slice(19, 24), 24


def choose(obs: np.ndarray) -> np.ndarray:
    """Any function of the observation [..., 5] to 3 actions."""
    return (obs[..., 0] * 7 + obs[..., 1] * 3 + obs[..., 2]).astype(np.int64) % 3


class CountingActor:
    """Acts by `choose`; its state counts the steps of a life, and its value is that count."""

    extras = ("value",)
    noise_width = 0
    version = 4
    deferred = None

    def __init__(self, spaces: Spaces) -> None:
        self.spaces = spaces
        assert spaces.action == ActionSpace("discrete", (), (3,), (0,))

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros((*shape, 0), np.float32)

    def initial_state(self, lanes: int) -> Tree:
        return {"count": np.zeros((lanes, 1), np.float32)}

    def load(self, flat: np.ndarray, knobs: Any, version: int) -> None:
        raise AssertionError("nothing is published in these tests")

    def act(self, obs: Any, state: Any, first: np.ndarray | None, noise: np.ndarray | None) -> Act:
        assert first is not None
        assert noise is None
        count = np.where(first[:, None], 0, state["count"]) + 1
        action = choose(obs["obs"])
        return Act(action, action, {"count": count.astype(np.float32)}, {"value": count[:, 0]})


@dataclass
class Reference:
    """Rows [n, WIDTH] by agent, and what else happened in one environment."""

    rows: dict[str, np.ndarray] = field(default_factory=dict)
    held: dict[str, bool] = field(default_factory=dict)  # the last row may still be paid
    episodes: list[tuple[int, float, int, dict[str, list[float]]]] = field(default_factory=list)
    given: float = 0.0
    unclaimed: float = 0.0


class Driver:
    """Drives one environment; ``policy_of`` only sorts the returns of lives."""

    def __init__(self, env: FuzzEnv, seed: int, policy_of: dict[str, str], limit: int | None = None) -> None:
        self.env, self.policy_of, self.limit = env, policy_of, limit
        self.rows = {agent: array("d") for agent in env.possible_agents}
        self.out = Reference()
        self.pending: dict[str, np.ndarray] = env.reset(seed=seed)[0]
        self.begin_episode()

    def begin_episode(self) -> None:
        self.tick, self.paid = 0, 0.0
        self.open: dict[str, int] = {}  # agent → steps of its life
        self.last: dict[str, int] = {}  # agent → where its last row of this episode starts
        self.began: dict[str, float] = {}  # what tells the life apart
        self.life_paid: dict[str, float] = {}
        self.lives: dict[str, list[float]] = {}

    def step(self, now: int) -> None:
        actions = self.act()
        observations, rewards, terminations, truncations, _ = self.env.step(actions)
        self.tick += 1
        for agent, reward in rewards.items():
            self.out.given += reward
            if agent in self.last:
                self.rows[agent][self.last[agent] + REWARD] += reward
                self.life_paid[agent] += reward
                self.paid += reward
            else:
                self.out.unclaimed += reward
        over = not self.env.agents or self.tick == self.limit
        self.pending = {}
        for agent in self.env.possible_agents:
            if terminations.get(agent) or truncations.get(agent) or (over and agent in self.open):
                self.end(agent, bool(terminations.get(agent)), observations.get(agent))
            elif agent in observations and not over:
                self.show(agent, observations[agent])
        if over:
            for agent in list(self.life_paid):
                self.report(agent)
            self.out.episodes.append((now, self.paid, self.tick, self.lives))
            self.begin_episode()
            self.pending = self.env.reset()[0]

    def act(self) -> dict[str, int]:
        actions = {}
        for agent, obs in self.pending.items():
            count = self.open.get(agent, 0) + 1
            flags = float(FIRST) if count == 1 else 0.0
            actions[agent] = int(choose(obs))
            self.open[agent] = count
            self.last[agent] = len(self.rows[agent])
            if count == 1:
                self.began[agent] = float((len(self.out.episodes) + 1) * EPISODE + self.tick)
                self.life_paid[agent] = 0.0
            row = [*obs.tolist(), actions[agent], 0.0, flags, self.tick, self.began[agent], count]
            self.rows[agent].extend(row + [0.0] * (WIDTH - len(row)))
        return actions

    def show(self, agent: str, obs: np.ndarray) -> None:
        self.pending[agent] = obs
        if agent in self.open:
            self.continue_with(agent, obs, self.open[agent] + 1)
        elif agent in self.life_paid:
            self.report(agent)

    def continue_with(self, agent: str, obs: np.ndarray, value: int) -> None:
        row, start = self.rows[agent], self.last[agent]
        row[start + NEXT_VALUE] = value
        row[start + NEXT_OBS.start : start + NEXT_OBS.stop] = array("d", obs.tolist())

    def end(self, agent: str, terminated: bool, final: np.ndarray | None) -> None:
        if agent not in self.open:
            return
        row, start, count = self.rows[agent], self.last[agent], self.open.pop(agent)
        row[start + FLAGS] += float(TERMINATED if terminated else TRUNCATED)
        if final is None and not terminated:
            row[start + HAS_FINAL], row[start + FINAL_VALUE] = 1.0, count
            row[start + FINAL_OBS.start : start + FINAL_OBS.stop] = row[start : start + 5]
        elif final is not None:
            row[start + HAS_FINAL], row[start + FINAL_VALUE] = 1.0, count + 1
            row[start + FINAL_OBS.start : start + FINAL_OBS.stop] = array("d", final.tolist())

    def report(self, agent: str) -> None:
        self.lives.setdefault(self.policy_of[agent], []).append(self.life_paid.pop(agent))

    def result(self) -> Reference:
        self.out.rows = {agent: np.array(rows).reshape(-1, WIDTH) for agent, rows in self.rows.items()}
        self.out.held = {
            agent: agent in self.last and agent not in self.pending for agent in self.env.possible_agents
        }
        return self.out


def reference(
    env: FuzzEnv, seed: int, ticks: int, policy_of: dict[str, str], limit: int | None = None
) -> Reference:
    """``ticks`` ticks from ``reset(seed)`` on; ``limit`` cuts episodes short."""
    driver = Driver(env, seed, policy_of, limit)
    for now in range(ticks):
        driver.step(now)
    return driver.result()
