"""When a lost rollout worker is made again, and when there is no sense in it any more.

At once the first time, and later and later where it is lost again before it has lived for a while: a worker
that dies at every start costs little, and one that dies once costs no time. The run ends where none of them
has brought a fragment for several lives, or lived for a while for many.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.workers.remote_worker import Broken
from rl_platform.workers.worker_losses import RemoteTraceback, WorkersLost

GIVE_UP = 4
"""Where every worker was lost so many times in a row without a fragment, the run ends."""
GIVE_UP_SHORT_LIVES = 10
"""The same where fragments came between, but no life was sound: after three minutes of waiting."""
LONGEST_WAIT_SECONDS = 60.0
SOUND_SECONDS = 60.0
"""Who has lived so long is made again at once."""


@dataclass(slots=True)
class Record:
    """How one worker has fared over all its replacements. Times are monotonic seconds."""

    made: float = 0.0
    due: float = 0.0  # from which on it may be made again
    failures: int = 0  # in a row, without a fragment between
    restarts: int = 0  # in a row, without a sound life between

    def brought(self, now: float) -> None:
        """Note a fragment."""
        self.failures = 0
        if now - self.made > SOUND_SECONDS:
            self.restarts = 0

    def lost(self, now: float) -> float:
        """Note a loss. Seconds until it may be made again."""
        if now - self.made > SOUND_SECONDS:
            self.restarts = 0
        self.failures, self.restarts = self.failures + 1, self.restarts + 1
        delay = 0.0 if self.restarts == 1 else min(LONGEST_WAIT_SECONDS, 2.0 ** min(self.restarts - 2, 9))
        self.due = now + delay
        return delay


class Recorded(Protocol):
    @property
    def record(self) -> Record: ...


def refuse_hopeless(
    how: str, broken: Broken | None, everyone: Collection[Recorded], times: int = GIVE_UP
) -> None:
    """After a loss that was noted. Raises EnvironmentFault and WorkersLost where all fail again and again,
    and RuntimeError for what no other worker would do better.
    """
    if broken is not None and not broken.of_environment:
        raise RuntimeError(broken.message) from RemoteTraceback(broken.traceback)
    records = [each.record for each in everyone]
    if any(it.failures < times and it.restarts < GIVE_UP_SHORT_LIVES for it in records):
        return
    if broken is not None:
        raise EnvironmentFault(broken.message) from RemoteTraceback(broken.traceback)
    lost = sum(map(_in_a_row, records))
    raise WorkersLost(
        f"rollout workers ended without a word, {lost} times in all, each of the {len(records)} at least "
        f"{times} times in a row without a fragment or {GIVE_UP_SHORT_LIVES} times within "
        f"{SOUND_SECONDS:.0f} s of its start: os._exit, a crash in native code, too little memory or a lost "
        f"node; the last one so: {how.rstrip('.')}"
    )


def _in_a_row(record: Record) -> int:
    return max(record.failures, record.restarts)
