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
SAID_EVERY_SECONDS = 60.0
"""How often a failure is logged, at most: a full disk fails every try, and an exact run tries often."""


class DelayedSaving:
    """``on_delay`` hears why a checkpoint was not saved."""

    def __init__(self, on_delay: Callable[[str], None]) -> None:
        self._on_delay = on_delay
        self._pause, self._again_at = FIRST_PAUSE_SECONDS, math.inf
        self._failures, self._said_at = 0, -math.inf  # since the last that was saved; when it was logged

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
        self._pause, self._again_at, self._failures = FIRST_PAUSE_SECONDS, math.inf, 0
        self._said_at = -math.inf
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
        now = time.monotonic()
        self._failures += 1
        if now - self._said_at >= SAID_EVERY_SECONDS:
            self._said_at = now
            so_far = f" ({self._failures} tries have failed)" if self._failures > 1 else ""
            log.warning("a checkpoint is delayed%s, the next try is in %g s: %s", so_far, pause, error)
        self._again_at = now + pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        self._on_delay(str(error))
