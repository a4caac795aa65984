"""Windows over the past of a lane, for attention, frame stacking and previous actions.

The actor, row by row, and the learner, over whole trajectories, read them with the same function, `window`.
Shape legend: K look-back rows, T new rows, L lanes, W offsets of a view, R rows of a column, N positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rl_platform.data.trajectory import ENDED, FIRST, Trajectory
from rl_platform.data.tree import OBS


@dataclass(frozen=True, slots=True)
class View:
    """The column ``path`` at several offsets in rows, e.g. ``View("obs", range(-3, 1))``; 0 is the present.

    ``path`` is an observation or action path, ``reward``, or a name in ``extra``. Raises ValueError for an
    offset which an actor could not read: above 0, or 0 where ``path`` is not an observation.
    """

    path: str
    offsets: Sequence[int]

    def __post_init__(self) -> None:
        newest = 0 if self.path.split("/")[0] == OBS else -1
        if not len(self.offsets) or max(self.offsets) > newest:
            raise ValueError(
                f"view of {self.path!r}: offsets are {list(self.offsets)}; "
                f"expected at least one and none above {newest}, which is the newest that an actor knows"
            )

    @property
    def look_back(self) -> int:
        """Rows before the present one that it reads: a trajectory needs as many look-back rows."""
        return -min(self.offsets)


def window(
    column: np.ndarray, start: np.ndarray, row: np.ndarray, lane: np.ndarray, offsets: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``row + offsets`` of lanes ``lane`` of a column [R, L, ...]: values [N, W, ...], valid [N, W].

    ``start`` [N] is the first row that may be read for each position: where its life began, or where the
    look-back rows of its lane do. What lies before it is zero and not valid.
    """
    rows = row[:, None] + np.asarray(offsets, np.int64)
    valid = rows >= start[:, None]
    values = column[np.where(valid, rows, 0), lane[:, None]]
    values[~valid] = 0
    return values, valid


def life_starts(trajectory: Trajectory) -> np.ndarray:
    """For rows 0 .. K+T the first row that belongs to the same life, look-back included: int64 [K+T+1, L].

    It has a meaning in rows K-back .. K+length, the last of them being that of the last observation.
    """
    rows, lanes = trajectory.flags.shape
    row = np.arange(rows + 1)[:, None]
    oldest = trajectory.look_back - trajectory.back.astype(np.int64)
    newest = trajectory.look_back + trajectory.length.astype(np.int64)
    begins = np.zeros((rows + 1, lanes), bool)
    begins[:-1] = ((trajectory.flags & FIRST) != 0) & (row[:-1] < newest)
    # The last observation has no flags yet; after an end it can only be the first of another life.
    begins[1:] |= ((trajectory.flags & ENDED) != 0) & (row[1:] == newest)
    return np.maximum.accumulate(np.where(begins, row, oldest), axis=0)


def gather_view(trajectory: Trajectory, view: View, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The view at every new row: values [T, L, W, ...] and valid bool [T, L, W].

    What lies before the life began or before the look-back rows is zero and not valid, as is every position
    beyond a lane's length. With ``last`` there is one row more, and lane l's position length[l] is the last
    observation. Raises KeyError for an unknown path, ValueError where there are too few look-back rows.
    """
    if trajectory.look_back < view.look_back:
        raise ValueError(
            f"view of {view.path!r} reads {view.look_back} rows back, "
            f"the trajectory holds {trajectory.look_back}: sample with a look_back of the largest view"
        )
    column = _column(trajectory, view.path)
    count, lanes = trajectory.rows + int(last), len(trajectory.length)
    row = np.repeat(np.arange(trajectory.look_back, trajectory.look_back + count), lanes)
    lane = np.tile(np.arange(lanes), count)
    beyond = row - trajectory.look_back >= trajectory.length[lane] + int(last)
    start = np.where(beyond, row + 1, life_starts(trajectory)[row, lane])
    values, valid = window(column, start, row, lane, view.offsets)
    shape = (count, lanes, len(view.offsets))
    return values.reshape(*shape, *column.shape[2:]), valid.reshape(shape)


def _column(trajectory: Trajectory, path: str) -> np.ndarray:
    columns = {**trajectory.obs, **trajectory.action, **trajectory.extra, "reward": trajectory.reward}
    if path not in columns:
        raise KeyError(f"a view reads {path!r}, the trajectory holds {', '.join(sorted(columns))}")
    return columns[path]
