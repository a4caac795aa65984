"""What a plan is built over: the workers, the learner, the replay buffers and the published policies of one
run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rl_platform.execution.counters import Counters
from rl_platform.execution.episodes import EpisodeWindow
from rl_platform.models.filters import PolicyFilters
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.learner import Learner
from rl_platform.workers.local import LocalWorkers
from rl_platform.workers.remote_learner import RemoteLearner
from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_shards import ReplayShards
from rl_platform.workers.weights import Weights

Schedule = Callable[[int], dict[str, float]]
"""env steps → the scheduled values of that moment, by snake_case field name; always all of them."""


@dataclass(frozen=True, slots=True)
class Published:
    """A policy as rollout workers are to use it from their next request on."""

    held: Weights
    knobs: Mapping[str, Any]
    version: int

    @property
    def weights(self) -> np.ndarray:
        """f32 [size]; brought here where they are elsewhere. Raises LearnerLost where they are gone."""
        return self.held.flat


@dataclass
class Run:
    """The parts of one run. Made by the driver, used by `plan` functions, saved by the driver's
    checkpoints.
    """

    workers: LocalWorkers | WorkerGroup
    learner: Learner | RemoteLearner
    trained: tuple[str, ...]
    schedule: Schedule
    replay: dict[str, ReplayBuffer] | ReplayShards = field(default_factory=dict)
    filters: dict[str, PolicyFilters] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    exploration: Callable[[int, int], Mapping[str, Any]] = lambda env_steps, environments: {}
    scheduled_at_workers: bool = False  # they compute gradients, and need what the schedule says
    episodes: EpisodeWindow = field(default_factory=EpisodeWindow)
    ends_at: tuple[float, float] = (math.inf, math.inf)  # env steps, updates

    def over(self, counters: Counters) -> bool:
        """Whether the run has all the env steps or updates that it is to have."""
        return counters.env_steps >= self.ends_at[0] or counters.updates >= self.ends_at[1]

    def knobs(self, policy: str, env_steps: int) -> dict[str, Any]:
        """Everything published with a policy besides its weights: filters, exploration, schedules."""
        filters = self.filters[policy].knobs() if policy in self.filters else {}
        environments = self.workers.num_envs * max(1, self.workers.count)
        scheduled = self.schedule(env_steps) if self.scheduled_at_workers else {}
        return {**filters, **scheduled, **self.exploration(env_steps, environments)}

    def publish(self, version: int, env_steps: int) -> None:
        """Make the learner's present weights what the next requests carry."""
        for policy in self.learner.policies:
            frozen = policy not in self.trained
            if frozen and policy in self.published:
                continue
            knobs = self.knobs(policy, env_steps)
            self.published[policy] = Published(self.learner.publication(policy), knobs, version)
