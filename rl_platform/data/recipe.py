"""A recipe: pure functions that turn trajectories into columns, run by whoever consumes the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree

DataFn = Callable[[Trajectory, Tree, Mapping[str, np.ndarray]], Tree]
"""(trajectory, columns so far [T, L, ...], published knobs) → columns to add or replace, [T, L, ...]."""

TransitionFn = Callable[[Trajectory], Tree]
"""trajectory → independent transitions [M, ...] for a replay buffer."""
