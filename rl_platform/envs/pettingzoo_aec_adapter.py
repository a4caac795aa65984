"""PettingZoo environments whose agents take turns (AECEnv): one agent of each environment acts per tick.

An agent's reward is what has gathered since it last acted; it arrives with its next turn, which for one that
has ended is the turn in which it takes its leave.
"""

from __future__ import annotations

from typing import Any

from rl_platform.data.trajectory import TRUNCATED
from rl_platform.envs.agent_environments import AgentEnvironments, ended_agents


class AecAdapter(AgentEnvironments):
    """Environments with PettingZoo's AEC interface; ``max_episode_steps`` counts turns of all agents."""

    def _first_infos(self, env: Any) -> Any:
        env.reset(seed=0)
        return env.infos

    def _begin(self, index: int, env: Any, seed: int | None) -> None:
        env.reset(seed=seed)
        if not self._next_turn(index):
            raise ValueError("no agent is alive after a reset")

    def _advance(self, index: int, env: Any) -> bool:
        (action,) = self._lanes.take_actions(index).values()
        env.step(action)
        return not self._next_turn(index)

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
