"""A program that a test starts, watches and ends: it never outlives the test run."""

from __future__ import annotations

import ctypes
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LOG_TAIL = 3000  # characters shown of a program that does not come up


def free_port() -> int:
    """One that nothing listens on, below those that systems hand out: nobody is given it in the meantime."""
    while True:
        port = secrets.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Program:
    """Started again with the same command after `stop` or `kill`; its output is added to ``log``."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command = list(command)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """A Ctrl-C is the test run's alone; when that is killed, the kernel ends the program."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def stop(self, seconds: float = 20.0) -> None:
        """SIGTERM, then SIGKILL."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Raises RuntimeError with the end of the log when it has ended or takes longer."""
        end = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > end:
                what = f"not ready after {seconds:.0f} s" if self.running else "has ended"
                tail = self.log.read_text(errors="replace")[-LOG_TAIL:]
                raise RuntimeError(f"{Path(self.command[0]).name} {what}; end of {self.log}:\n{tail}")
            time.sleep(0.1)


def _end_with_parent() -> None:
    parent_death_signal = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
