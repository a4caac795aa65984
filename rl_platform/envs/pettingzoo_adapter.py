"""PettingZoo environments whose agents step together: they may come, go, skip turns, die and return.

An agent that is missing from the observations skips the tick. Its rewards go to its own last row, even after
its death. The episode ends when no agents are listed, or at the limit, which truncates the living ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.envs.adapter import Arrivals
from rl_platform.envs.agent_lanes import Patterns, seat_agents
from rl_platform.envs.environment_state import get_environment_state, set_environment_state
from rl_platform.envs.faults import FieldFault, check_flag, fault_at


class ParallelAdapter:
    """Lanes (environment, possible agent) per policy over ``num_envs`` environments made by ``make``."""

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
        self.name = name or str(self._envs[0])
        self.num_envs = num_envs
        self.current = 0  # which environment is running, for a message about one that hangs
        self._limit = max_episode_steps
        self._steps = [0] * num_envs
        try:
            _, infos = self._envs[0].reset(seed=0)
        except Exception as error:
            raise fault_at(self.name, 0, "reset", error) from error
        self._lanes = seat_agents(self._envs[0], num_envs, policies, max_set_size, masked_agents(infos))
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
                self._take_in(index, env, env.step(self._lanes.take_actions(index)))
            except Exception as error:
                raise fault_at(self.name, index, self._steps[index], error) from error
            if self._over(index):
                over[index] = True
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

    def _over(self, index: int) -> bool:
        return not self._envs[index].agents or self._steps[index] == self._limit

    def _reset(self, index: int, seed: int | None) -> None:
        self.current = index
        self._steps[index] = 0
        self._lanes.forget_episode(index)
        try:
            observations, infos = self._envs[index].reset(seed=seed)
            for agent, obs in observations.items():
                self._lanes.show(index, agent, obs, infos.get(agent))
        except Exception as error:
            raise fault_at(self.name, index, "reset", error) from error

    def _take_in(self, index: int, env: Any, outcome: tuple[dict[Any, Any], ...]) -> None:
        """What one environment's step says: first rewards, then ends, then what the living see."""
        observations, rewards, terminations, truncations, infos = outcome
        lanes = self._lanes
        for agent, reward in rewards.items():
            lanes.reward(index, agent, reward)
        ended = ended_agents(terminations, truncations)
        if self._over(index):
            for agent in lanes.open_agents(index):
                ended.setdefault(agent, TRUNCATED)
        for agent, flag in ended.items():
            lanes.end(index, agent, flag, observations.get(agent), infos.get(agent))
        if not self._over(index):
            for agent, obs in observations.items():
                if agent not in ended:
                    lanes.show(index, agent, obs, infos.get(agent))


def ended_agents(terminations: Mapping[Any, Any], truncations: Mapping[Any, Any]) -> dict[Any, np.uint8]:
    """Agents that end, with their flag; who is terminated and truncated at once is terminated."""
    ended: dict[Any, np.uint8] = {}
    for field, flags, flag in (
        ("truncations", truncations, TRUNCATED),
        ("terminations", terminations, TERMINATED),
    ):
        for agent, value in flags.items():
            if value is False:
                continue
            if check_flag(f"{field} of agent {agent!r}", value):
                ended[agent] = flag
    return ended


def masked_agents(infos: Any) -> frozenset[Any]:
    """Agents whose info at the first reset carries an action mask: theirs must from then on."""
    if not isinstance(infos, Mapping):
        raise FieldFault("infos", f"is {type(infos).__name__}; expected a dict by agent")
    return frozenset(a for a, info in infos.items() if isinstance(info, Mapping) and "action_mask" in info)


def environment_states(envs: Iterable[Any]) -> list[Any] | None:
    """The state of every environment, or None where one of them, or a wrapper around it, cannot tell."""
    states = [get_environment_state(env) if env is env.unwrapped else None for env in envs]
    return None if None in states else states
