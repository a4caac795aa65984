"""CartPole that writes its steps down, so that lost steps and two drivers at once show.

It stands in a ConfigMap of the tests and is imported by the driver in its pod. Each environment has a file of
its own: the attempt, the driver's pod and process; then time and steps so far, ten times a second.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import gymnasium


class Counted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """``seconds``: of a step. ``folder``: where it writes."""

    def __init__(self, folder: str, seconds: float = 0.002) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.seconds, self.steps, self.written_at = seconds, 0, 0.0
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.file = (Path(folder) / f"{uuid4().hex}.jsonl").open("a", buffering=1)
        driver = f"{os.environ.get('HOSTNAME')}/{os.getpid()}"
        self.file.write(json.dumps({"attempt": int(os.environ["RLP_ATTEMPT"]), "driver": driver}) + "\n")

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        time.sleep(self.seconds)
        self.steps += 1
        if time.monotonic() - self.written_at > 0.1:
            self.written_at = time.monotonic()
            self.file.write(json.dumps({"time": time.time(), "steps": self.steps}) + "\n")
        return self.env.step(action)
