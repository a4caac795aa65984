"""PettingZoo environments whose agents step together: they may come, go, skip turns, die and return.

An agent that is missing from the observations skips the tick. Its rewards go to its own last row, even after
its death. The episode ends when no agents are listed, or at the limit, which truncates the living ones.
"""

from __future__ import annotations

from typing import Any

from rl_platform.data.trajectory import TRUNCATED
from rl_platform.envs.agent_environments import AgentEnvironments, ended_agents


class ParallelAdapter(AgentEnvironments):
    """Environments with PettingZoo's parallel interface."""

    def _first_infos(self, env: Any) -> Any:
        _, infos = env.reset(seed=0)
        return infos

    def _begin(self, index: int, env: Any, seed: int | None) -> None:
        observations, infos = env.reset(seed=seed)
        for agent, obs in observations.items():
            self._lanes.show(index, agent, obs, infos.get(agent))

    def _advance(self, index: int, env: Any) -> bool:
        """First rewards, then ends, then what the living see."""
        lanes = self._lanes
        outcome = env.step(lanes.take_actions(index))
        observations, rewards, terminations, truncations, infos = outcome
        over = not env.agents or self._steps[index] == self._limit
        for agent, reward in rewards.items():
            lanes.reward(index, agent, reward)
        ended = ended_agents(terminations, truncations)
        if over:
            for agent in lanes.open_agents(index):
                ended.setdefault(agent, TRUNCATED)
        for agent, flag in ended.items():
            lanes.end(index, agent, flag, observations.get(agent), infos.get(agent))
        if not over:
            for agent, obs in observations.items():
                if agent not in ended:
                    lanes.show(index, agent, obs, infos.get(agent))
        return over
