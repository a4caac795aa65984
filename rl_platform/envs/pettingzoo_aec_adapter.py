"""PettingZoo environments whose agents take turns (AECEnv): one agent of each environment acts per tick.

An agent's reward is what has gathered since it last acted; it arrives with its next turn, which for one that
has ended is the turn in which it takes its leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rl_platform.data.trajectory import TRUNCATED
from rl_platform.envs.adapter import Arrivals
from rl_platform.envs.agent_lanes import Patterns, seat_agents
from rl_platform.envs.environment_state import set_environment_state
from rl_platform.envs.faults import fault_at
from rl_platform.envs.pettingzoo_adapter import ended_agents, environment_states, masked_agents


class AecAdapter:
    """Lanes (environment, possible agent) per policy over ``num_envs`` environments made by ``make``.

    ``max_episode_steps`` counts turns of all agents together.
    """

    lockstep = False
    late_reset = False

    def __init__(
        self,
        make: Callable[[], Any],
        num_envs: int,
        policies: Patterns,
        *,
        name: str = "",
        max_episode_steps: int | None = None,
        max_set_size: int | None = None,
    ) -> None:
        self._envs = [make() for _ in range(num_envs)]
        first = self._envs[0]
        self.name = name or str(first)
        self.num_envs = num_envs
        self.current = 0  # which environment is running, for a message about one that hangs
        self._limit = max_episode_steps
        self._steps = [0] * num_envs
        try:
            first.reset(seed=0)
            masked = masked_agents(first.infos)
        except Exception as error:
            raise fault_at(self.name, 0, "reset", error) from error
        self._lanes = seat_agents(first, num_envs, policies, max_set_size, masked)
        self.lanes = self._lanes.lanes

    @property
    def unclaimed_reward(self) -> float:
        """Sum of rewards to agents that had not acted in the episode: no trajectory holds them."""
        return self._lanes.unclaimed_reward

    def reset_into(self, arrivals: Mapping[str, Arrivals], seeds: list[int]) -> None:
        """See `EnvironmentAdapter`."""
        self._lanes.begin(arrivals, None)
        for env, seed in enumerate(seeds):
            self._reset(env, seed)

    def step_into(self, actions: Mapping[str, np.ndarray], arrivals: Mapping[str, Arrivals]) -> np.ndarray:
        """See `EnvironmentAdapter`."""
        self._lanes.begin(arrivals, actions)
        over = np.zeros(self.num_envs, bool)
        for index, env in enumerate(self._envs):
            self.current = index
            self._steps[index] += 1
            try:
                (action,) = self._lanes.take_actions(index).values()
                env.step(action)
                over[index] = not self._next_turn(index)
            except Exception as error:
                raise fault_at(self.name, index, self._steps[index], error) from error
            if over[index]:
                self._reset(index, None)
        return over

    def snapshot(self) -> dict[str, Any] | None:
        """See `EnvironmentAdapter`."""
        states = environment_states(self._envs)
        if states is None:
            return None
        return {"environments": states, "steps": list(self._steps), "lanes": self._lanes.snapshot()}

    def restore(self, snapshot: dict[str, Any], arrivals: Mapping[str, Arrivals]) -> None:
        """See `EnvironmentAdapter`; the observations to act on are those the worker has saved."""
        del arrivals
        for env, state in zip(self._envs, snapshot["environments"], strict=True):
            set_environment_state(env, state)
        self._steps = list(snapshot["steps"])
        self._lanes.restore(snapshot["lanes"])

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset(self, index: int, seed: int | None) -> None:
        self.current = index
        self._steps[index] = 0
        self._lanes.forget_episode(index)
        try:
            self._envs[index].reset(seed=seed)
            if not self._next_turn(index):
                raise ValueError("no agent is alive after a reset")
        except Exception as error:
            raise fault_at(self.name, index, "reset", error) from error

    def _next_turn(self, index: int) -> bool:
        """Let ended agents leave until a living one sees something and acts. False: the episode is over."""
        env, lanes = self._envs[index], self._lanes
        while env.agents:
            agent = env.agent_selection
            obs, reward, terminated, truncated, info = env.last()
            ended = ended_agents({agent: terminated}, {agent: truncated})
            if not ended and self._steps[index] == self._limit:
                self._cut_short(index)
                return False
            lanes.reward(index, agent, reward)
            if not ended:
                lanes.show(index, agent, obs, info)
                return True
            lanes.end(index, agent, ended[agent], obs, info)
            env.step(None)
        return False

    def _cut_short(self, index: int) -> None:
        """The limit is reached: the living get what has gathered since they acted, and a last look."""
        env, lanes = self._envs[index], self._lanes
        for agent in list(env.agents):
            lanes.reward(index, agent, env._cumulative_rewards[agent])
            lanes.end(index, agent, TRUNCATED, env.observe(agent), env.infos.get(agent))
