"""What both kinds of PettingZoo environments have alike: lanes for possible agents, limits, saved state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.envs.adapter import Arrivals
from rl_platform.envs.agent_lanes import Patterns, seat_agents
from rl_platform.envs.environment_state import get_environment_state, set_environment_state
from rl_platform.envs.faults import RAISED, FieldFault, check_flag, fault_at


class AgentEnvironments(ABC):
    """Lanes (environment, possible agent) per policy over ``num_envs`` environments made by ``make``.

    A kind of environment says how one is reset (`_first_infos`, `_begin`) and stepped (`_advance`).
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
            masked = masked_agents(self._first_infos(first))
        except RAISED as error:
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
                over[index] = self._advance(index, env)
            except RAISED as error:
                raise fault_at(self.name, index, self._steps[index], error) from error
            if over[index]:
                self._reset(index, None)
        return over

    def snapshot(self) -> dict[str, Any] | None:
        """See `EnvironmentAdapter`; an environment inside a wrapper cannot tell its state."""
        states = [get_environment_state(env) if env is env.unwrapped else None for env in self._envs]
        if None in states:
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
            self._begin(index, self._envs[index], seed)
        except RAISED as error:
            raise fault_at(self.name, index, "reset", error) from error

    @abstractmethod
    def _first_infos(self, env: Any) -> Any:
        """Reset an environment and return the infos by agent."""

    @abstractmethod
    def _begin(self, index: int, env: Any, seed: int | None) -> None:
        """Reset, and show each agent what it is to act on."""

    @abstractmethod
    def _advance(self, index: int, env: Any) -> bool:
        """Step with the actions of its lanes and take in what it says; whether the episode is over."""


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
