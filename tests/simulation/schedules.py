"""What goes wrong in a run, and when: a fault has a kind and the number of the call, write or event it hits.

As text, ``crash-after@7``, it goes on a command line and replays the run; of two, ``crash-after@7,lag@1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Counted(StrEnum):
    """What a fault's number counts, over all operator processes of a run."""

    WRITE = "write"  # of the API server and of Ray, without dry runs
    CALL = "call"  # of the API server
    RAY = "ray"  # of a head
    EVENT = "event"  # delivered to a cache
    RUN = "run"  # the whole run is like that; the number says how much


KINDS: dict[str, Counted] = {
    "crash-before": Counted.WRITE,
    "crash-after": Counted.WRITE,
    "answer-lost": Counted.WRITE,
    "late-leader-1": Counted.WRITE,  # so many late calls, then the old leader is gone
    "late-leader-3": Counted.WRITE,
    "late-leader-slow": Counted.WRITE,  # the new one has been at it for a minute
    "old-snapshot": Counted.WRITE,  # crash, and a restart on lists that are behind
    "clock-forward": Counted.WRITE,
    "clock-back": Counted.WRITE,
    "error-409": Counted.CALL,
    "error-404": Counted.CALL,
    "error-422": Counted.CALL,
    "error-403": Counted.CALL,
    "error-429": Counted.CALL,
    "error-500": Counted.CALL,
    "error-504": Counted.CALL,
    "error-504-applied": Counted.CALL,
    "timeout": Counted.CALL,
    "server-down": Counted.CALL,  # for half a minute
    "ray-timeout": Counted.RAY,
    "ray-lost": Counted.RAY,  # it took effect
    "ray-500": Counted.RAY,
    "ray-twice": Counted.RAY,
    "ray-hangs": Counted.RAY,  # for half a minute
    "event-lost": Counted.EVENT,
    "event-twice": Counted.EVENT,
    "event-late": Counted.EVENT,
    "watch-expired": Counted.EVENT,
    "lag": Counted.RUN,  # every cache so many versions behind
    "lag-jobs": Counted.RUN,
    "lag-clusters": Counted.RUN,
    "lag-pods": Counted.RUN,
}
CRASHES = ("crash-before", "crash-after", "answer-lost")


@dataclass(frozen=True, slots=True)
class Fault:
    """``at`` counts from 1, from the beginning of the run. ``then``: another one, once this one has hit."""

    kind: str
    at: int
    then: Fault | None = None

    @property
    def counted(self) -> Counted:
        return KINDS[self.kind]

    @property
    def number(self) -> int:
        return 1 if self.then is None else 1 + self.then.number

    def __str__(self) -> str:
        text = f"{self.kind}@{self.at}"
        return text if self.then is None else f"{text},{self.then}"


def parsed(text: str) -> Fault:
    """Raises KeyError and ValueError."""
    first, _, rest = text.partition(",")
    kind, _, at = first.partition("@")
    assert KINDS[kind]
    return Fault(kind, int(at), parsed(rest) if rest else None)


def every(kinds: tuple[str, ...], counts: dict[Counted, int]) -> Iterator[Fault]:
    """Each of the kinds at each place of a run with so many."""
    for kind in kinds:
        for at in range(1, counts[KINDS[kind]] + 1):
            yield Fault(kind, at)
