"""CartPole that takes its time, so that a test meets a run in any phase; it may break or end on purpose.

It stands in a ConfigMap of the tests and is imported by the driver in its pod.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gymnasium


class Slow(gymnasium.Wrapper[Any, Any, Any, Any]):
    """``seconds``: of a step. ``breaks_at``: the step that raises, unless ``mended`` lies in ``folder``."""

    def __init__(self, seconds: float = 0.0, breaks_at: int = 0, folder: str = "/tmp") -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.seconds, self.breaks_at, self.steps = seconds, breaks_at, 0
        self.mended = Path(folder) / "mended"

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        time.sleep(self.seconds)
        if self.steps == self.breaks_at and not self.mended.exists():
            self.mended.touch()
            raise RuntimeError("this environment breaks once")
        return self.env.step(action)
