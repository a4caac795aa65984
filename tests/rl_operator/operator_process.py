"""The operator as a process of its own, as a cluster runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PORT = re.compile(r"health and metrics on port (\d+)")
UNSET = ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
PATIENCE_SECONDS = 120.0  # a busy machine


def run_operator(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One that is expected to end by itself."""
    return subprocess.run(
        command(folder, *arguments),
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def command(folder: Path, *arguments: str) -> list[str]:
    port, key = ("--port", "0"), ("--key-file", str(folder / "token-key"))
    return [sys.executable, "-m", "rl_operator", *port, *key, *arguments]


def environment(folder: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "HOME": str(folder)}


class OperatorProcess:
    """Started with a kubeconfig; ends with the block, by SIGKILL if it has to."""

    def __init__(self, kubeconfig: Path, folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "operator.log"
        self._command = command(folder, "--kubeconfig", str(kubeconfig), *arguments)
        self._environment = environment(folder)

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stderr=log, stdout=log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text; (0, why) while nothing answers."""
        found = PORT.search(self.log.read_text())
        if found is None:
            return 0, "no port yet"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, line_begins: str) -> float:
        """Sum over the series whose line begins so."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(it.rpartition(" ")[2]) for it in lines if it.startswith(line_begins))

    def wait_ready(self, seconds: float = PATIENCE_SECONDS) -> float:
        """How long it took until /readyz said yes."""
        started = time.monotonic()
        while self.get("/readyz")[0] != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - started < seconds, self.log.read_text()
            time.sleep(0.05)
        return time.monotonic() - started

    def leads(self) -> bool:
        return self.metric("leader_election_master_status") == 1

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(it.split()[1]) for it in status.splitlines() if it.startswith("VmRSS")) / 1024

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)
