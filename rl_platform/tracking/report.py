"""One report of a run: where it stands and its metrics. A report is one line of ``progress.jsonl``."""

from __future__ import annotations

import json
import math
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """Totals over all attempts, and metrics by key.

    Keys are ``rollout/episode_return_mean``, ``rollout/episode_length_mean``, ``rollout/episodes``,
    ``time/env_steps_per_second``, ``train/<policy>/policy_loss``, … The time that a run is suspended does not
    count in ``wall_seconds``; ``time`` is when it was made, in seconds since 1970, to the millisecond.
    """

    env_steps: int
    agent_steps: dict[str, int] = field(default_factory=dict)
    updates: int = 0
    iteration: int = 0
    wall_seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    time: float = field(default_factory=lambda: round(clock.time(), 3), compare=False)

    def to_line(self) -> str:
        """One line of strict JSON, without the newline; values that are not finite become strings."""
        document = {
            "envSteps": int(self.env_steps),
            "agentSteps": {policy: int(steps) for policy, steps in self.agent_steps.items()},
            "updates": int(self.updates),
            "iteration": int(self.iteration),
            "wallSeconds": round(float(self.wall_seconds), 3),
            "time": round(float(self.time), 3),
            "metrics": {key: float(value) for key, value in self.metrics.items()},
        }
        try:
            return _dumps(document)
        except ValueError:
            return _dumps(document | {"metrics": _spelled(self.metrics)})

    @staticmethod
    def from_line(line: str | bytes) -> Report:
        """What `to_line` wrote. Raises ValueError that says what is wrong with the line."""
        try:
            document: dict[str, Any] = json.loads(line)
            return Report(
                env_steps=int(document["envSteps"]),
                agent_steps={policy: int(steps) for policy, steps in document["agentSteps"].items()},
                updates=int(document["updates"]),
                iteration=int(document["iteration"]),
                wall_seconds=float(document["wallSeconds"]),
                metrics={key: float(value) for key, value in document["metrics"].items()},
                time=float(document["time"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise ValueError(f"not a report: {problem}; the line is {line[:200]!r}") from error


def _spelled(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """``nan``, ``inf`` and ``-inf`` as strings: `float` reads them back, and JSON has no number for them."""
    values = {key: float(value) for key, value in metrics.items()}
    return {key: value if math.isfinite(value) else str(value) for key, value in values.items()}


_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
