"""What the crash tests have tried, summed over the test processes: a line of pytest's summary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def summary(properties: Iterable[tuple[str, Any]]) -> str:
    """Empty when none of them ran."""
    points = runs = 0
    states: set[int] = set()
    for name, value in properties:
        if name == "crash_points":
            points += value
        elif name == "crash_runs":
            runs += value
        elif name == "crash_states":
            states.update(value)
    if not runs:
        return ""
    return f"Crash safety: {points:,} points, {runs:,} runs, {len(states):,} distinct states of a job"
