"""What a restart of the environments cuts off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rl_platform.data.trajectory import ENDED


class Abandoned(NamedTuple):
    """Agent steps of the episodes that were open; of ``unfinished`` ones nobody learns: their n-step return
    wanted rows that will not come.
    """

    steps: int = 0
    unfinished: int = 0

    def plus(self, other: Abandoned) -> Abandoned:
        return Abandoned(self.steps + other.steps, self.unfinished + other.unfinished)


NOTHING_ABANDONED = Abandoned()


def unfinished(flags: np.ndarray, back: np.ndarray) -> int:
    """Look-back rows that no end has finished, of flags [K, L] with the last ``back`` [L] rows in use."""
    ended = (flags & ENDED) != 0
    since = len(flags) - 1 - np.where(ended, np.arange(len(flags))[:, None], -1).max(axis=0, initial=-1)
    return int(np.minimum(since, back).sum())
