"""Fragments laid end to end, as plain rows that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_platform.data.trajectory import ENDED, TRUNCATED, Trajectory
from rl_platform.data.tree import ACTION


def lane_rows(trajectories: Sequence[Trajectory], lane: int) -> list[dict[str, Any]]:
    """Every delivered row of a lane: observation, what was done and paid, and the observation after it."""
    rows: list[dict[str, Any]] = []
    for trajectory in trajectories:
        k, finals = trajectory.look_back, {}
        for i, (row, its_lane) in enumerate(zip(trajectory.final.row, trajectory.final.lane, strict=True)):
            finals[int(row), int(its_lane)] = i
        assert all(k <= row < k + trajectory.length[own] for row, own in finals)
        for row in range(k, k + int(trajectory.length[lane])):
            flags = int(trajectory.flags[row, lane])
            kept: dict[str, Any] = {path: leaf[row, lane].tolist() for path, leaf in trajectory.obs.items()}
            kept |= {name: float(leaf[row, lane]) for name, leaf in trajectory.extra.items()}
            kept |= {
                "action": trajectory.action[ACTION][row, lane].tolist(),
                "reward": float(trajectory.reward[row, lane]),
                "flags": flags,
                "tick": int(trajectory.tick[row, lane]),
                "episode": int(trajectory.episode[row, lane]),
            }
            if (row, lane) in finals:
                assert flags & int(ENDED)
                at = finals[row, lane]
                kept["final"] = {path: leaf[at].tolist() for path, leaf in trajectory.final.obs.items()}
                kept["final value"] = {name: float(leaf[at]) for name, leaf in trajectory.final.extra.items()}
            elif not flags & int(ENDED):
                kept["next"] = {path: leaf[row + 1, lane].tolist() for path, leaf in trajectory.obs.items()}
                kept["next value"] = {
                    name: float(leaf[row + 1, lane]) for name, leaf in trajectory.extra.items()
                }
            assert "final" in kept or not flags & int(TRUNCATED), "a truncated row has no last observation"
            rows.append(kept)
    return rows


def same_trajectory(one: Trajectory, other: Trajectory) -> None:
    """Fail unless all new rows are equal."""
    assert np.array_equal(one.length, other.length)
    for lane in range(len(one.length)):
        assert lane_rows([one], lane) == lane_rows([other], lane)
