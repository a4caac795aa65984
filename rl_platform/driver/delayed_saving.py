"""A store that is away or full for a while delays checkpoints; it does not end the run.

A scheduled checkpoint that fails is tried again a little later, with what the run is at then. The last one of
a run is tried for `LAST_SECONDS`; then the run has failed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from rl_platform.checkpoints.errors import CheckpointError, StaleAttempt

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
LAST_SECONDS = 120.0


class DelayedSaving:
    """``on_delay`` hears why a checkpoint was not saved."""

    def __init__(self, on_delay: Callable[[str], None]) -> None:
        self._on_delay = on_delay
        self._pause, self._again_at = FIRST_PAUSE_SECONDS, math.inf

    @property
    def pending(self) -> bool:
        """Whether one is delayed."""
        return self._again_at < math.inf

    @property
    def due(self) -> bool:
        """Whether to try again now."""
        return time.monotonic() >= self._again_at

    def scheduled(self, save: Callable[[], None]) -> bool:
        """Whether it was saved. Raises StaleAttempt."""
        try:
            save()
        except StaleAttempt:
            raise
        except CheckpointError as error:
            self._failed(error, self._pause)
            return False
        self._pause, self._again_at = FIRST_PAUSE_SECONDS, math.inf
        return True

    def last(self, save: Callable[[], None]) -> None:
        """Raises StaleAttempt, and CheckpointError where it was tried for long enough."""
        until = time.monotonic() + LAST_SECONDS
        while True:
            try:
                return save()
            except StaleAttempt:
                raise
            except CheckpointError as error:
                if time.monotonic() + FIRST_PAUSE_SECONDS > until:
                    raise
                self._failed(error, FIRST_PAUSE_SECONDS)
                time.sleep(FIRST_PAUSE_SECONDS)

    def _failed(self, error: CheckpointError, pause: float) -> None:
        log.warning("a checkpoint is delayed, the next try is in %g s: %s", pause, error)
        self._again_at = time.monotonic() + pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._on_delay(str(error))
