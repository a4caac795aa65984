"""The first module of ours that the Ray process of a rollout worker imports.

A process elsewhere inherits nothing of the driver's environment, and its processor may be another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import ray

from rl_platform.workers.matrix_kernels import choose_matrix_kernels

choose_matrix_kernels(os.environ)  # numpy reads the choice when it is imported, so that comes after

import numpy as np  # noqa: E402

from rl_platform.data.trajectory import Trajectory  # noqa: E402
from rl_platform.workers.remote_worker import Loads, RemoteWorker, Report  # noqa: E402


class RolloutProcess(RemoteWorker):
    """What the actor runs."""

    @ray.method(num_returns=2)
    def sample(
        self, ticks: int, loads: Loads, *weights: np.ndarray
    ) -> tuple[Report, Mapping[str, Trajectory] | None]:
        """What is told and the data apart: each goes to who wants it."""
        return super().sample(ticks, loads, *weights)
