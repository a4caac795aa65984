"""The process of a rollout worker that is a rank of the learner too."""

from __future__ import annotations

from rl_platform.workers.rollout_process import RolloutProcess  # first: it chooses numpy's kernels

# isort: split
from collections.abc import Mapping

import numpy as np
import ray

from rl_platform.data.trajectory import Trajectory
from rl_platform.workers.blueprint import Blueprint
from rl_platform.workers.learner_process import LearnerBlueprint, LearnerProcess
from rl_platform.workers.remote_worker import Loads, RemoteWorker, Report


class LearningProcess(RolloutProcess, LearnerProcess):
    """What the actor runs. It acts with what it has learned: requests bring no weights."""

    def __init__(self, learner: LearnerBlueprint, blueprint: Blueprint, source: int, sequence: int) -> None:
        RolloutProcess.__init__(self, blueprint, source, sequence)
        LearnerProcess.__init__(self, learner)

    @ray.method(num_returns=2)
    def sample(
        self, ticks: int, loads: Loads, *weights: np.ndarray
    ) -> tuple[Report, Mapping[str, Trajectory] | None]:
        """See `RemoteWorker.sample`."""
        del weights
        learned = [self.learner.weights(policy) for policy, _, _ in loads]
        return RemoteWorker.sample(self, ticks, loads, *learned)
