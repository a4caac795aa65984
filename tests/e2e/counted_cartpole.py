"""CartPole that writes its steps down, so that lost steps and two drivers at once show.

It stands in a ConfigMap of the tests and is imported by drivers and rollout workers in their pods. Each
environment has a file of its own: the attempt, pod and process; then time and steps so far, ten times a
second. A driver has one that holds only times, for as long as its process lives.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import gymnasium

SECONDS = 0.1
LIVING: list[threading.Thread] = []


def log_of(folder: str, kind: str) -> Callable[[int], None]:
    """Writes to a file of its own."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = (Path(folder) / f"{uuid4().hex}.jsonl").open("a", buffering=1)
    process = f"{os.environ.get('HOSTNAME')}/{os.getpid()}"
    head = {"kind": kind, "attempt": int(os.environ["RLP_ATTEMPT"]), "process": process}
    file.write(json.dumps(head) + "\n")

    def write(steps: int) -> None:
        file.write(json.dumps({"time": time.time(), "steps": steps}) + "\n")

    return write


def live(folder: str) -> None:
    """Until the process ends, however it ends."""
    write = log_of(folder, "driver")
    while True:
        write(0)
        time.sleep(SECONDS)


class Counted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """``seconds``: of a step. ``folder``: where it writes."""

    def __init__(self, folder: str, seconds: float = 0.002) -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self.seconds, self.steps, self.written_at = seconds, 0, 0.0
        self.write = log_of(folder, "environment")
        if "rl_platform.driver" in sys.orig_argv and not LIVING:
            LIVING.append(threading.Thread(target=live, args=(folder,), daemon=True))
            LIVING[0].start()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        time.sleep(self.seconds)
        self.steps += 1
        if time.monotonic() - self.written_at > SECONDS:
            self.written_at = time.monotonic()
            self.write(self.steps)
        return self.env.step(action)
