"""Every fragment is finite; observations keep to their bounds, looked at by sample."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.trajectory import Trajectory
from rl_platform.envs.adapter import EnvironmentFault, Lanes

TOLERANCE = 1e-4
"""Relative slack at bounds, for what float32 loses."""


class ObservationChecks:
    """Checks of one policy's fragments. Which row is looked at for bounds moves with each fragment."""

    def __init__(self, name: str, lanes: Lanes) -> None:
        self.name, self.lanes = name, lanes
        self._real = _paths(lanes.spaces, "box", "set")
        self._bounded = {
            path: leaf
            for path, leaf in lanes.spaces.obs.items()
            if leaf.kind == "box" and np.isfinite([leaf.low, leaf.high]).any()
        }
        self._warned: set[str] = set()

    def __call__(self, trajectory: Trajectory) -> None:
        """Raises EnvironmentFault naming environment, step and field of the first value that is not
        finite.
        """
        self.finite(trajectory.obs, trajectory.reward, trajectory.tick)
        final = trajectory.final
        if len(final.row):
            for path in self._real:
                finite = np.isfinite(final.obs[path]).reshape(len(final.row), -1).all(axis=1)
                if not finite.all():
                    bad = int(np.argmin(finite))
                    row, lane = int(final.row[bad]), int(final.lane[bad])
                    value = final.obs[path][bad]
                    raise self._fault(path, int(trajectory.tick[row, lane]) + 1, lane, value)
        if self._bounded:
            self._look_at_bounds(trajectory)

    def finite(self, obs: Mapping[str, np.ndarray], reward: np.ndarray, tick: np.ndarray) -> None:
        """The same for rows [R, L, ...] of observations and rewards; ``tick`` [R, L] is the step acted in."""
        for path in self._real:
            if not np.isfinite(obs[path]).all():
                finite = np.isfinite(obs[path]).reshape(*obs[path].shape[:2], -1).all(axis=2)
                row, lane = (int(i) for i in np.argwhere(~finite)[0])
                step = int(tick[row, lane]) if row < len(tick) else int(tick[-1, lane]) + 1
                raise self._fault(path, step, lane, obs[path][row, lane])
        if not np.isfinite(reward).all():
            row, lane = (int(i) for i in np.argwhere(~np.isfinite(reward))[0])
            raise self._fault("reward", int(tick[row, lane]) + 1, lane, reward[row, lane])

    def _fault(self, field: str, step: int, lane: int, value: np.ndarray) -> EnvironmentFault:
        agent = self.lanes.agents[self.lanes.agent[lane]]
        whose = f" of agent {agent!r}" if agent else ""
        shown = np.array2string(np.asarray(value).ravel()[:8], separator=", ", precision=4)
        return EnvironmentFault(
            f"environment {self.name!r} number {self.lanes.env[lane]}, step {step}, field {field}{whose}: "
            f"is not finite as float32 ({shown}); expected finite numbers of less than 3.4e38"
        )

    def _look_at_bounds(self, trajectory: Trajectory) -> None:
        lane = trajectory.sequence % max(1, len(trajectory.length))
        row = trajectory.look_back
        if not trajectory.length[lane]:
            return
        for path, leaf in self._bounded.items():
            seen = trajectory.obs[path][row, lane]
            low, high = seen.min(initial=np.inf), seen.max(initial=-np.inf)
            slack = TOLERANCE * max(1.0, abs(float(low)), abs(float(high)))
            if (low < leaf.low - slack or high > leaf.high + slack) and path not in self._warned:
                self._warned.add(path)
                warnings.warn(
                    f"environment {self.name!r} number {self.lanes.env[lane]}, "
                    f"step {trajectory.tick[row, lane]}, field {path}: has values from {low:g} to {high:g}; "
                    f"its space says {leaf.low:g} to {leaf.high:g}",
                    stacklevel=2,
                )


def _paths(spaces: Spaces, *kinds: str) -> tuple[str, ...]:
    return tuple(path for path, leaf in spaces.obs.items() if leaf.kind in kinds)
