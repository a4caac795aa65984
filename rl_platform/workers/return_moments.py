"""Moments that rollout workers count for running filters: of observations, and of the discounted return."""

from __future__ import annotations

import numpy as np

from rl_platform.data.moments import Moments
from rl_platform.data.spaces import Spaces
from rl_platform.data.trajectory import ENDED, Trajectory
from rl_platform.workers.fragment import RETURN


class MomentCounter:
    """Counts one policy's new rows, each once. The discounted return runs on from fragment to fragment."""

    def __init__(self, spaces: Spaces, lanes: int, gamma: float) -> None:
        self.gamma = gamma
        self.running = np.zeros(lanes, np.float64)
        self._paths = tuple(path for path, leaf in spaces.obs.items() if leaf.kind == "box")

    def count(self, trajectory: Trajectory) -> dict[str, Moments]:
        """By observation path and ``return``: R_t = gamma R_{t-1} + r_t within each episode."""
        k = trajectory.look_back
        valid = np.arange(trajectory.rows)[:, None] < trajectory.length
        seen = {path: Moments.of(trajectory.obs[path][k:-1][valid]) for path in self._paths}
        returns = np.zeros(valid.shape, np.float64)
        running = self.running
        ended = (trajectory.flags[k:] & ENDED) != 0
        for row, alive in enumerate(valid):
            current = self.gamma * running + trajectory.reward[k + row]
            returns[row] = current
            running = np.where(alive, np.where(ended[row], 0.0, current), running)
        self.running = running
        seen[RETURN] = Moments.of(returns[valid])
        return seen
