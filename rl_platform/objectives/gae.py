"""Generalised advantage estimation (Schulman et al. 2016, 1506.02438, equations 11 to 16).

Shape legend: K look-back rows, T rows, L lanes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import ENDED, TERMINATED, Trajectory
from rl_platform.data.tree import Tree


def next_values(trajectory: Trajectory, name: str = "value") -> np.ndarray:
    """V of the observation after each step [T, L]: 0 after TERMINATED, that of ``final`` after TRUNCATED.

    Reads ``extra[name]`` and ``final.extra[name]``; "value" is what the actor said while sampling.
    """
    k = trajectory.look_back
    following = trajectory.extra[name][k + 1 :].copy()
    final = trajectory.final
    following[final.row - k, final.lane] = final.extra[name]
    following *= (trajectory.flags[k:] & TERMINATED) == 0
    return following


def gae(gamma: float, lam: float) -> DataFn:
    """A recipe step that adds ``advantage`` and ``return`` [T, L]; zero in rows beyond a lane's length.

    A_t = d_t + gamma lam A_{t+1} with d_t = r_t + gamma V(s_{t+1}) - V(s_t), cut where an episode ends and
    where the lane's rows end.
    """

    def estimate(trajectory: Trajectory, columns: Tree, knobs: Mapping[str, np.ndarray]) -> Tree:
        del knobs
        k = trajectory.look_back
        reward = columns.get("reward", trajectory.reward[k:])
        value = trajectory.extra["value"][k:-1]
        delta = reward + np.float32(gamma) * next_values(trajectory) - value
        carry = np.float32(gamma * lam) * ((trajectory.flags[k:] & ENDED) == 0)
        if not trajectory.full:
            valid = np.arange(trajectory.rows)[:, None] < trajectory.length
            delta = np.where(valid, delta, np.float32(0))
            carry *= valid
        advantage = accumulate(delta, carry)
        return {"advantage": advantage, "return": advantage + value}

    return estimate


def accumulate(delta: np.ndarray, carry: np.ndarray) -> np.ndarray:
    """x_t = delta_t + carry_t x_{t+1} over rows [T, L], written over ``delta``."""
    for t in range(len(delta) - 2, -1, -1):
        delta[t] += carry[t] * delta[t + 1]
    return delta
