"""Running mean and variance of observations and returns: what is published as the knobs of a policy's filter.

State is float64 and merged from moments that rollout workers count (Chan et al. 1979), so it doesn't depend
on how experience was cut into fragments, and it is saved with the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.data.moments import Moments
from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree

RETURN = "return"
"""The key under which moments of the discounted return are merged; its knob is ``filter/return/scale``."""
VARIANCE_FLOOR = 1e-8


class PolicyFilters:
    """The filters of one policy: observation paths, and perhaps its return."""

    def __init__(self, spaces: Spaces, observations: tuple[str, ...] = (), returns: bool = False) -> None:
        self.observations = observations
        shapes: dict[str, tuple[int, ...]] = {path: spaces.obs[path].shape for path in observations}
        if returns:
            shapes[RETURN] = ()
        self.moments = {
            key: Moments(0, np.zeros(shape, np.float64), np.zeros(shape, np.float64))
            for key, shape in shapes.items()
        }

    def merge(self, moments: Mapping[str, Moments]) -> None:
        """Add what was counted by observation path or ``return``; keys without a filter are ignored."""
        for key, seen in moments.items():
            mine = self.moments.get(key)
            if mine is None:
                continue
            if np.shape(seen.mean) != mine.mean.shape:
                raise ValueError(
                    f"moments of {key!r} have shape {np.shape(seen.mean)}, the filter has {mine.mean.shape}: "
                    "they belong to other spaces"
                )
            self.moments[key] = mine.merge(seen)

    def knobs(self) -> Tree:
        """``filter/<path>/mean`` and ``/scale`` float32 [...], ``filter/return/scale`` []."""
        knobs: Tree = {}
        for key, moments in self.moments.items():
            known = moments.count > 1
            variance = moments.m2 / moments.count if known else np.ones_like(moments.m2)
            knobs[f"filter/{key}/scale"] = np.asarray(1 / np.sqrt(variance + VARIANCE_FLOOR), np.float32)
            if key != RETURN:
                mean = moments.mean if known else np.zeros_like(moments.mean)
                knobs[f"filter/{key}/mean"] = np.asarray(mean, np.float32)
        return knobs

    def snapshot(self) -> Tree:
        """``<key>/count`` [], ``<key>/mean`` and ``<key>/m2`` [...], float64."""
        arrays: Tree = {}
        for key, moments in self.moments.items():
            arrays[f"{key}/count"] = np.array(moments.count, np.float64)
            arrays[f"{key}/mean"], arrays[f"{key}/m2"] = np.array(moments.mean), np.array(moments.m2)
        return arrays

    def restore(self, arrays: Tree) -> None:
        """Put a snapshot back. Raises ValueError where a filter is missing from it or has another shape."""
        for key, mine in self.moments.items():
            missing = [part for part in ("count", "mean", "m2") if f"{key}/{part}" not in arrays]
            if missing:
                raise ValueError(
                    f"the checkpoint has no {key}/{missing[0]}: it was saved without this filter"
                )
            mean, m2 = arrays[f"{key}/mean"], arrays[f"{key}/m2"]
            if mean.shape != mine.mean.shape or m2.shape != mine.m2.shape:
                raise ValueError(
                    f"the filter of {key!r} has shape {mine.mean.shape}, the checkpoint's {mean.shape}: "
                    "it was saved with other spaces"
                )
            self.moments[key] = Moments(int(arrays[f"{key}/count"]), mean.copy(), m2.copy())
