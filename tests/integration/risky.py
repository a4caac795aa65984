"""An environment whose rollout workers come to grief. The driver's own environments stay sound."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

_HELD: list[Any] = []


class Risky(gymnasium.Env[Any, Any]):
    """Episodes of 20 steps. ``risk``: a method below that workers run at construction, or at each step after
    the first ``after``.

    ``folder`` gets a file named by the id of each worker's process; a file ``spent`` ends the risk.
    """

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(
        self, folder: str, driver: int, risk: str = "none", after: int = 100, sleep: float = 0.0
    ) -> None:
        self.folder, self.risk, self.after, self.sleep = Path(folder), risk, after, sleep
        self.at, self.steps = 0, 0
        self.worker = os.getpid() != driver
        if self.worker:
            (self.folder / str(os.getpid())).touch()
            if risk.startswith("made_"):
                getattr(self, risk)()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self.seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.at += 1
        self.steps += 1
        time.sleep(self.sleep)
        risky = self.worker and self.steps > self.after
        if risky and self.risk.startswith("step_"):
            getattr(self, self.risk)()
        return self.seen(), 1.0, self.at == 20, False, {}

    def seen(self) -> Any:
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)

    def made_once_at_a_time(self) -> None:
        """Only the process that comes first can have it."""
        if _HELD:
            return
        file = open(self.folder / "licence.lock", "w")  # noqa: SIM115 - held until the process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError("the licence is in use") from error
        _HELD.append(file)

    def made_raises(self) -> None:
        raise RuntimeError("the simulator lost its connection")

    def step_hangs(self) -> None:
        if self._first():
            time.sleep(600)

    def step_hangs_deaf(self) -> None:
        """Where no signal helps."""
        if self._first():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(600)

    def step_raises(self) -> None:
        raise RuntimeError("the simulator lost its connection")

    def step_exits(self) -> None:
        os._exit(5)

    def step_interrupts(self) -> None:
        raise KeyboardInterrupt("the simulator lost its connection")

    def _first(self) -> bool:
        try:
            (self.folder / "spent").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def workers(folder: Path) -> set[int]:
    """Ids of the processes that have ever made an environment."""
    return {int(file.name) for file in folder.iterdir() if file.name.isdigit()}
