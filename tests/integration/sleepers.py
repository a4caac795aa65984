"""An environment that takes its time, and no processor: how others fare with it depends on nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.integration.probes import Outcome, Probe


class Sleeper(Probe):
    """Sleeps ``seconds`` a step; in the process that comes first to ``folder``, which is named by that of the
    driver, ``slower`` times as long.
    """

    length = -1

    def __init__(self, seconds: float, folder: str = "", slower: int = 1) -> None:
        self.seconds = seconds
        if folder and os.getpid() != int(Path(folder).name):
            try:
                (Path(folder) / "first").touch(exist_ok=False)
                self.seconds *= slower
            except FileExistsError:
                pass

    def step(self, action: Any) -> Outcome:
        time.sleep(self.seconds)
        return super().step(action)

    def play(self, action: Any) -> float:
        return 1.0
