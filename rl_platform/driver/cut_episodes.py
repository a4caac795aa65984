"""Notices where exact checkpoints leave no episode the time to end.

Each begins every environment anew, so of episodes longer than the way from one to the next none ever ends:
the mean return stands still while the policy learns.
"""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

IN_A_ROW = 4


class CutEpisodes:
    """Asked at each exact checkpoint, warns once."""

    def __init__(self) -> None:
        self._episodes, self._in_a_row, self._warned = 0, 0, False

    def at_checkpoint(self, episodes: int) -> None:
        """``episodes``: that have ended so far."""
        self._in_a_row = self._in_a_row + 1 if episodes == self._episodes else 0
        self._episodes = episodes
        if self._in_a_row == IN_A_ROW and not self._warned:
            self._warned = True
            log.warning(
                "no episode has ended between the last %d checkpoints, so the mean return stands still: "
                "checkpoint.exact begins every environment anew at each; save less often (everyUpdates, "
                "everySeconds), or set exact to false",
                IN_A_ROW,
            )
