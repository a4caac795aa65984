"""What a rollout worker hands over after one fragment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RemoteTrajectory:
    """A trajectory that stays where it was sampled until whoever learns from it wants it."""

    policy: str
    version: int
    source: int
    sequence: int
    steps: int
    data: Any = None  # reference to all trajectories of its fragment, by policy

    def fetch(self) -> Trajectory:
        """Raises what Ray raises where it is lost."""
        import ray

        trajectory: Trajectory = ray.get(self.data)[self.policy]
        return trajectory


def fetched(trajectory: Trajectory | RemoteTrajectory) -> Trajectory:
    """The trajectory itself, wherever it lies."""
    return trajectory.fetch() if isinstance(trajectory, RemoteTrajectory) else trajectory


def head_of(trajectory: Trajectory) -> RemoteTrajectory:
    """What is told of a trajectory that is not sent along."""
    it = trajectory
    return RemoteTrajectory(it.policy, it.version, it.source, it.sequence, it.steps)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment: a trajectory per policy, and what is counted beside them."""

    trajectories: Mapping[str, Trajectory | RemoteTrajectory]
    env_steps: int
    agent_steps: dict[str, int]
    episodes: list[Episode]
    discarded: int = 0  # agent steps of open episodes that were abandoned since the last fragment
    moments: list[tuple[str, dict[str, Moments]]] = field(default_factory=list)  # policy, then by path
    seconds: float = 0.0  # that sampling took
