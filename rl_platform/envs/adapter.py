"""What a rollout worker asks of an environment, whatever its kind.

An adapter holds some environments of one kind and writes what happens into arrays it is given.
It resets an environment in the tick in which its episode ends (or as soon as the environment allows it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree


class EnvironmentFault(Exception):
    """The environment raised, hung, or returned what its spaces do not allow.

    The message names environment, step and field. ``__cause__`` is the environment's own exception.
    """


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of one policy: lane l is agent ``agents[agent[l]]`` of environment ``env[l]``."""

    spaces: Spaces
    env: np.ndarray  # i32 [L]
    agent: np.ndarray  # i32 [L]
    agents: tuple[str, ...]  # names; ("",) for a single agent

    def __len__(self) -> int:
        return len(self.env)


@dataclass(slots=True)
class Arrivals:
    """What one tick brings to the lanes of one policy. The adapter writes in place, the worker owns it.

    In lock step (`EnvironmentAdapter.lockstep`) ``obs``, ``reward`` and ``ended`` are rows of the trajectory
    itself, ``ready`` is not written, and ``first`` is where ``ended`` is set.
    """

    obs: Tree  # [L, ...] the observation to act on next, where ready
    reward: np.ndarray  # f32 [L] to be added to the lane's last row; zeroed by the worker before each tick
    ended: np.ndarray  # u8 [L] TERMINATED or TRUNCATED: closes the lane's last row; zeroed before each tick
    ready: np.ndarray  # bool [L] an observation was written: the lane acts in the next tick
    first: np.ndarray  # bool [L] that observation begins a life (an episode, or an agent that (re)appears)
    final: list[tuple[int, Tree]] = field(default_factory=list)  # (lane, last observation [...]) of each end


class EnvironmentAdapter(Protocol):
    """Environments 0 .. num_envs-1, stepped together; one tick steps each of them once."""

    @property
    def name(self) -> str:
        """For messages: the id or entrypoint."""

    @property
    def num_envs(self) -> int: ...

    @property
    def lanes(self) -> Mapping[str, Lanes]:
        """By policy."""

    @property
    def lockstep(self) -> bool:
        """Single-agent, every lane ready at every tick, reset in the tick of the end."""

    @property
    def late_reset(self) -> bool:
        """An environment that has ended spends the next tick on its reset: that is no env step."""

    def reset_into(self, arrivals: Mapping[str, Arrivals], seeds: list[int]) -> None:
        """Start a new episode everywhere, environment e from ``seeds[e]``, abandoning open ones."""

    def step_into(self, actions: Mapping[str, np.ndarray], arrivals: Mapping[str, Arrivals]) -> np.ndarray:
        """One tick. ``actions[policy][lane]``, in the environment's scale, counts for lanes that were ready.

        Returns bool [num_envs]: whose episode ended with this tick. Raises EnvironmentFault.
        """

    def snapshot(self) -> dict[str, Any] | None:
        """State of all environments (JSON and arrays, no pickles), or None where they cannot be saved."""

    def restore(self, snapshot: dict[str, Any], arrivals: Mapping[str, Arrivals]) -> None:
        """Put a snapshot back, at the moment it was taken.

        ``arrivals`` hold the observations to act on as the worker has saved them; an adapter may leave them.
        """

    def close(self) -> None: ...
