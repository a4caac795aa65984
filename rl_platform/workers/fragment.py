"""What a rollout worker hands over after one fragment."""

from __future__ import annotations

from dataclasses import dataclass, field

from rl_platform.data.moments import Moments
from rl_platform.data.trajectory import Trajectory

RETURN = "return"
"""The path under which moments of discounted returns are counted."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode of one environment."""

    episode_return: float  # sum over agents
    length: int  # env steps
    agent_returns: dict[str, list[float]]  # by policy, one for each life of an agent


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment: a trajectory per policy, and what is counted beside them."""

    trajectories: dict[str, Trajectory]
    env_steps: int
    agent_steps: dict[str, int]
    episodes: list[Episode]
    discarded: int = 0  # agent steps of open episodes that were abandoned since the last fragment
    moments: list[tuple[str, dict[str, Moments]]] = field(default_factory=list)  # policy, then by path
