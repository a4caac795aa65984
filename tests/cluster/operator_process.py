"""The operator as a process on this machine, which may be killed at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class OperatorProcess:
    """``python -m rl_operator`` for one namespace, by the API server's proxy."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.log = folder / "operator.log"
        self._command = [
            sys.executable,
            "-m",
            "rl_operator",
            "--reach=proxy",
            f"--namespaces={namespace}",
            f"--key-file={folder / 'key'}",
            "--port=0",
            "--host=127.0.0.1",
            "--drain-grace-seconds=30",
            "--leader-election=false",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "operator")])
        with self.log.open("ab") as log:
            environment = os.environ | {"PYTHONPATH": path}
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """At once, as by kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """As Kubernetes would; its exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=60)
        finally:
            self.kill()

    def restart_after(self, seconds: float) -> None:
        self.kill()
        time.sleep(seconds)
        self.start()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None
