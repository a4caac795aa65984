"""n-step transitions for replay (Sutton and Barto 2018, section 7.1), independent of where fragments are cut.

A transition that starts at row s is emitted by the fragment in which its last reward arrives, so the
trajectory needs n-1 look-back rows. It ends early with its episode and then carries its true number of steps
in the discount.
"""

from __future__ import annotations

import numpy as np

from rl_platform.data.recipe import TransitionFn
from rl_platform.data.trajectory import ENDED, TERMINATED, TRUNCATED, Trajectory
from rl_platform.data.tree import Tree


def n_step(n: int, gamma: float, prioritized: bool = False) -> TransitionFn:
    """A function from trajectory to transitions [M] in time order.

    Columns: every obs path, ``action``, ``reward`` (sum of gamma^i r), ``discount`` (gamma^steps, 0 after
    TERMINATED) and ``next/<obs path>``. ``prioritized`` adds ``replay/priority``, the temporal difference by
    the values that the actor said (extras ``action_value`` of what it did and ``value`` of what was best).
    Raises ValueError where the trajectory has fewer than n-1 look-back rows.
    """

    def transitions(trajectory: Trajectory) -> Tree:
        if trajectory.look_back < n - 1:
            raise ValueError(f"{n}-step transitions need {n - 1} look-back rows, got {trajectory.look_back}")
        if n == 1 and trajectory.full and not prioritized:
            return _one_step(trajectory, gamma)
        reward, discount, last, emitted = _accumulate(trajectory, n, gamma)
        row, lane = np.nonzero(emitted)
        last = last[row, lane]
        columns: Tree = {path: leaf[row, lane] for path, leaf in trajectory.obs.items()}
        columns |= {path: leaf[row, lane] for path, leaf in trajectory.action.items()}
        columns["reward"], columns["discount"] = reward[row, lane], discount[row, lane]
        where, final = _truncated(trajectory, last, lane)
        for path, leaf in trajectory.obs.items():
            following = leaf[last + 1, lane]
            following[where] = trajectory.final.obs[path][final]
            columns[f"next/{path}"] = following
        if prioritized:
            best = trajectory.extra["value"][last + 1, lane]
            best[where] = trajectory.final.extra["value"][final]
            target = columns["reward"] + np.where(columns["discount"] > 0, columns["discount"] * best, 0)
            columns["replay/priority"] = target - trajectory.extra["action_value"][row, lane]
        return columns

    return transitions


def _one_step(trajectory: Trajectory, gamma: float) -> Tree:
    """The same for n = 1 and lanes of full length: every new row as it is, without a search for any."""
    k, lanes = trajectory.look_back, len(trajectory.length)
    flags = trajectory.flags[k:].reshape(-1)
    columns = {path: _flat(leaf[k:-1]) for path, leaf in trajectory.obs.items()}
    columns |= {path: _flat(leaf[k:]) for path, leaf in trajectory.action.items()}
    columns["reward"] = _flat(trajectory.reward[k:])
    columns["discount"] = np.float32(gamma) * ((flags & TERMINATED) == 0)
    final = trajectory.final
    ended = (final.row - k) * lanes + final.lane
    truncated = (flags[ended] & TERMINATED) == 0
    for path, leaf in trajectory.obs.items():
        following = _flat(leaf[k + 1 :])
        if truncated.any():
            following = following.copy()
            following[ended[truncated]] = final.obs[path][truncated]
        columns[f"next/{path}"] = following
    return columns


def _flat(leaf: np.ndarray) -> np.ndarray:
    return leaf.reshape(-1, *leaf.shape[2:])


def _accumulate(
    trajectory: Trajectory, n: int, gamma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each start row: n-step reward, discount, last row, and whether this fragment emits it; all [K+T,
    L].
    """
    rows, lanes = trajectory.reward.shape
    k, end = trajectory.look_back, trajectory.look_back + trajectory.length
    start = np.arange(rows)[:, None]
    flags = np.where(start < end, trajectory.flags, 0).astype(np.uint8)
    padding = ((0, n), (0, 0))
    rewards, flags = np.pad(trajectory.reward, padding), np.pad(flags, padding)
    total = np.zeros((rows, lanes), np.float32)
    discount = np.ones((rows, lanes), np.float32)
    last = np.broadcast_to(start, (rows, lanes)).copy()
    alive = np.ones((rows, lanes), bool)
    for i in range(n):
        total += np.where(alive, np.float32(gamma**i) * rewards[i : i + rows], 0)
        discount[alive] = gamma ** (i + 1)
        last[alive] = (start + i + np.zeros_like(last))[alive]
        alive &= (flags[i : i + rows] & ENDED) == 0
    ending = np.take_along_axis(flags, last, axis=0)
    discount[(ending & TERMINATED) != 0] = 0.0
    emitted = (start >= k - trajectory.back) & (last >= k) & (last < end)
    return total, discount, last, emitted


def _truncated(trajectory: Trajectory, last: np.ndarray, lane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which transitions end in a truncation, and the entry of ``final`` each of them continues with."""
    entry = np.full(trajectory.reward.shape, -1, np.int64)
    entry[trajectory.final.row, trajectory.final.lane] = np.arange(len(trajectory.final.row))
    truncated = (trajectory.flags[last, lane] & (TRUNCATED | TERMINATED)) == TRUNCATED
    where = np.nonzero(truncated)[0]
    return where, entry[last[where], lane[where]]
