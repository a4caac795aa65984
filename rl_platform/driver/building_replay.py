"""Where a run keeps replay: in the driver's memory, or in shards beside the rollout workers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.spaces import Spaces
from rl_platform.models.policy import Policy
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.ray_session import RaySession
from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_draws import Draws, Proportional
from rl_platform.workers.replay_shard import ShardBlueprint
from rl_platform.workers.replay_shards import ReplayShards

PROCESS_BYTES = 100 * 2**20
"""Of a shard that is empty."""


def replay_of(
    job: TrainingJob,
    algorithm: Algorithm,
    config: Any,
    trained: Mapping[str, Policy],
    session: RaySession | None,
) -> dict[str, ReplayBuffer] | ReplayShards:
    """A buffer for each trained policy, or shards of such buffers; nothing where the algorithm keeps none.

    Raises ValueError where shards are asked for and there is nothing to keep in them.
    """
    capacity, seed, replay = algorithm.replay_capacity(config), job.spec.seed, job.spec.replay
    draws = partial(algorithm.replay_draws, config)
    if replay.placement == "driver" or session is None:
        return {policy: ReplayBuffer(capacity, seed, draws(capacity)) for policy in trained if capacity}
    if not capacity:
        name, _ = job.spec.algorithm.selected
        raise ValueError(
            f"spec.replay.placement is rollouts, and algorithm.{name} keeps no replay: leave it at driver"
        )
    each = -(-capacity // replay.shards)
    nbytes = PROCESS_BYTES + sum(shard_bytes(policy.spaces, each, draws(1)) for policy in trained.values())
    return ReplayShards(ShardBlueprint(tuple(trained), each, seed, draws, nbytes), replay.shards, session)


def shard_bytes(spaces: Spaces, capacity: int, drawing: Draws) -> int:
    """Of a full buffer: two observations, action, reward and discount of each transition, and priorities."""
    row = 8 + int(np.prod(spaces.action.shape, dtype=np.int64)) * 8
    for leaf in spaces.obs.values():
        row += 2 * int(np.prod(leaf.shape, dtype=np.int64)) * np.dtype(leaf.dtype).itemsize
    nodes = 2 << max(0, capacity - 1).bit_length() if isinstance(drawing, Proportional) else 0
    return capacity * row + 8 * nodes + (8 * capacity if nodes else 0)
