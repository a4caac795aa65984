"""A clock that moves when it is told to."""

from __future__ import annotations


class HandClock:
    """Seconds, from 0."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
