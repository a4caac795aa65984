"""What a rollout worker hands over after one fragment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl_platform.data.moments import Moments
from rl_platform.data.trajectory import Trajectory
from rl_platform.workers.abandoned import NOTHING_ABANDONED, Abandoned
from rl_platform.workers.episode import Episode, packed, unpacked

RETURN = "return"
"""The path under which moments of discounted returns are counted."""


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
    abandoned: Abandoned = NOTHING_ABANDONED  # since the last fragment
    moments: list[tuple[str, dict[str, Moments]]] = field(default_factory=list)  # policy, then by path
    seconds: float = 0.0  # that sampling took
    ticks: int = 0  # of every environment; some may only have reset it

    def remote(self) -> list[RemoteTrajectory]:
        """Of its trajectories, those that are elsewhere."""
        return [each for each in self.trajectories.values() if isinstance(each, RemoteTrajectory)]


Told = list[Any]
"""A fragment without its data as Ray sends it in fewest bytes: of lists, numbers and names alone."""


def told_of(fragment: Fragment) -> Told:
    """Of a fragment with the heads of its trajectories."""
    it = fragment
    heads = [
        [head.policy, head.version, head.source, head.sequence, head.steps]
        for head in it.trajectories.values()
    ]
    episodes = packed(it.episodes)
    others = [it.moments, it.seconds, it.ticks]
    return [heads, it.env_steps, it.agent_steps, episodes, list(it.abandoned), *others]


def fragment_of(told: Told, data: Any) -> Fragment:
    """The inverse of `told_of`. ``data``: reference to the trajectories by policy."""
    heads, env_steps, agent_steps, episodes, abandoned, *others = told
    trajectories = {
        policy: RemoteTrajectory(policy, version, source, sequence, steps, data)
        for policy, version, source, sequence, steps in heads
    }
    return Fragment(trajectories, env_steps, agent_steps, unpacked(episodes), Abandoned(*abandoned), *others)
