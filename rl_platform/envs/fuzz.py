"""An environment in which agents do everything that multi-agent code gets wrong, for tests of such code.

Agents spawn late, skip turns, die on their first step or at any other, with or without a last observation,
receive rewards while absent and after their death, and come back under the same name.
"""

from __future__ import annotations

import random
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv  # type: ignore[import-untyped]

OBSERVATION = ("life", "own_step", "tick", "agent", "action")
"""What the five numbers of an observation are; ``life`` is unique within one environment."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities per tick and agent (``end``: per tick)."""

    present_at_reset: float = 0.6
    spawn: float = 0.15
    stillborn: float = 0.01
    skip: float = 0.15
    terminate: float = 0.05
    truncate: float = 0.03
    first_step: float = 0.1
    final_observation: float = 0.7
    reward: float = 0.9
    late_reward: float = 0.25
    end: float = 0.02


@dataclass(slots=True)
class Life:
    """One life of an agent: its number, how often it acted, and its last action."""

    number: int
    own_step: int = 0
    action: int = 0


@dataclass(slots=True)
class Tick:
    """What one call of `FuzzEnv.step` returns, while it is put together."""

    observations: dict[str, np.ndarray]
    rewards: dict[str, float]
    terminations: dict[str, bool]
    truncations: dict[str, bool]


class FuzzEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo is untyped
    """``agents`` agents with observation float32 [5] (see `OBSERVATION`) and 3 actions.

    Rewards are 1, 2, 3, ... in the order in which they are given, until ``reset(seed=...)``. The seed decides
    what happens, whatever the actions; with ``echo`` an observation shows the agent's own last action.
    `step` raises ValueError unless exactly those agents act that were just given an observation and live.
    """

    metadata = {"name": "fuzz_v0", "render_modes": []}  # noqa: RUF012 - PettingZoo reads a plain attribute

    def __init__(
        self, agents: int = 6, limit: int = 60, echo: bool = True, chances: Chances | None = None
    ) -> None:
        self.possible_agents = [f"agent_{index}" for index in range(agents)]
        self.agents: list[str] = []
        self._index = {name: index for index, name in enumerate(self.possible_agents)}
        self._observation_space = Box(0.0, np.inf, (len(OBSERVATION),), np.float32)
        self._action_space = Discrete(3)
        self._limit, self._echo, self._chances = limit, echo, chances or Chances()
        self._random = random.Random(0)
        self._lives = self._rewards = self._tick = 0
        self._life: dict[str, Life] = {}
        self._awaited: set[str] = set()

    def observation_space(self, agent: str) -> Box:
        return self._observation_space

    def action_space(self, agent: str) -> Discrete:
        return self._action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """A new episode; with a seed the numbering of lives and rewards starts again."""
        if seed is not None:
            self._random.seed(seed)
            self._lives = self._rewards = 0
        self._tick, self._life, self._awaited = 0, {}, set()
        observations: dict[str, np.ndarray] = {}
        for agent in self.possible_agents:
            if self._random.random() < self._chances.present_at_reset:
                self._spawn(agent)
                self._show(agent, observations)
        self._never_empty()
        self.agents = list(self._life)
        return observations, {agent: {} for agent in observations}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """One tick. The episode is over when ``agents`` is empty."""
        if actions.keys() != self._awaited:
            raise ValueError(f"expected actions of {sorted(self._awaited)}, got those of {sorted(actions)}")
        self._tick += 1
        self._awaited = set()
        over = self._random.random() < self._chances.end or self._tick >= self._limit
        tick = Tick({}, {}, {}, {})
        for agent in self.possible_agents:
            self._reward(agent, agent in actions, tick)
            if agent in self._life:
                self._live(agent, actions.get(agent), over, tick)
            elif not over:
                self._absent(agent, tick)
        if not over:
            self._never_empty()
        self.agents = [] if over else list(self._life)
        infos: dict[str, dict[str, Any]] = {agent: {} for agent in tick.observations}
        return tick.observations, tick.rewards, tick.terminations, tick.truncations, infos

    def get_state(self) -> dict[str, Any]:
        """Everything the future depends on, as plain JSON."""
        version, internal, gauss = self._random.getstate()
        return {
            "random": [version, list(internal), gauss],
            "counts": [self._lives, self._rewards, self._tick],
            "lives": {agent: list(astuple(life)) for agent, life in self._life.items()},
            "awaited": sorted(self._awaited),
            "agents": list(self.agents),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was called."""
        version, internal, gauss = state["random"]
        self._random.setstate((version, tuple(internal), gauss))
        self._lives, self._rewards, self._tick = state["counts"]
        self._life = {agent: Life(*life) for agent, life in state["lives"].items()}
        self._awaited, self.agents = set(state["awaited"]), list(state["agents"])

    def _reward(self, agent: str, acted: bool, tick: Tick) -> None:
        chance = self._chances.reward if acted else self._chances.late_reward
        if self._random.random() < chance:
            self._rewards += 1
            tick.rewards[agent] = float(self._rewards)

    def _live(self, agent: str, action: int | None, over: bool, tick: Tick) -> None:
        """One tick of a living agent: it ends, is seen or skips."""
        draw, chances, life = self._random.random, self._chances, self._life[agent]
        if action is not None:
            life.own_step += 1
            life.action = int(action)
        ends = chances.terminate + chances.truncate
        fate = draw() * (ends if over else 1.0)
        if action is not None and life.own_step == 1 and draw() < chances.first_step:
            fate = 0.0
        tick.terminations[agent] = fate < chances.terminate
        tick.truncations[agent] = chances.terminate <= fate < ends
        if fate >= ends:
            self._show(agent, tick.observations)
            return
        if draw() < chances.final_observation:
            tick.observations[agent] = self._observe(agent)
        del self._life[agent]

    def _absent(self, agent: str, tick: Tick) -> None:
        """An agent without a life may start one, or start and lose one within this tick."""
        fate = self._random.random()
        if fate < self._chances.stillborn:
            self._spawn(agent)
            tick.observations[agent] = self._observe(agent)
            tick.terminations[agent], tick.truncations[agent] = True, False
            del self._life[agent]
        elif fate < self._chances.stillborn + self._chances.spawn:
            self._spawn(agent)
            self._show(agent, tick.observations)
            tick.terminations[agent] = tick.truncations[agent] = False

    def _spawn(self, agent: str) -> None:
        self._lives += 1
        self._life[agent] = Life(self._lives)

    def _show(self, agent: str, observations: dict[str, np.ndarray]) -> None:
        """Give an observation to a living agent, unless it skips."""
        if self._random.random() >= self._chances.skip:
            observations[agent] = self._observe(agent)
            self._awaited.add(agent)

    def _never_empty(self) -> None:
        """Without a living agent, one starts a life unseen: PettingZoo reads no agents as the end."""
        if not self._life:
            self._spawn(self._random.choice(self.possible_agents))

    def _observe(self, agent: str) -> np.ndarray:
        life = self._life[agent]
        shown = life.action if self._echo else 0
        return np.array((life.number, life.own_step, self._tick, self._index[agent], shown), np.float32)
