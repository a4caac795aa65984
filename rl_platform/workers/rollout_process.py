"""The first module of ours that the Ray process of a rollout worker imports.

A process elsewhere inherits nothing of the driver's environment, and its processor may be another.
"""

from __future__ import annotations

import os

from rl_platform.workers.matrix_kernels import choose_matrix_kernels

choose_matrix_kernels(os.environ)

from rl_platform.workers.remote_worker import RemoteWorker  # noqa: E402 - imports numpy


class RolloutProcess(RemoteWorker):
    """What the actor runs."""
