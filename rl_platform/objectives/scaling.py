"""Rewards on the scale of their discounted return (the running variance is the policy's return filter)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree

RETURN_SCALE = "filter/return/scale"


def scale_rewards(trajectory: Trajectory, columns: Tree, knobs: Mapping[str, np.ndarray]) -> Tree:
    """A recipe step: ``reward`` [T, L] divided by the running standard deviation of returns, clipped at
    ±10.
    """
    reward = columns.get("reward", trajectory.reward[trajectory.look_back :])
    if RETURN_SCALE not in knobs:
        return {"reward": reward}
    return {"reward": np.clip(reward * np.float32(knobs[RETURN_SCALE]), -10.0, 10.0)}
