"""A driver in a process of its own, as a cluster starts it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_platform.spec.driver_protocol import (
    JOB_FILE_ENV,
    OUTPUT_ENV,
    PORT_ENV,
    TOKEN_FILE_ENV,
    Progress,
    ProgressState,
)

JOB = """
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: protocol}
spec:
  environment: {id: CartPole-v1}
  algorithm: {ppo: {batchSize: 256, minibatchSize: 128}}
  stop: {envSteps: 100000000}
  evaluation: {episodes: 0}
  tracking: {enabled: false}
"""


class Driver:
    """``python -m rl_platform.driver`` as the cluster starts it."""

    def __init__(self, folder: Path, job: str = JOB, environment: Mapping[str, str] | None = None) -> None:
        (folder / "job.yaml").write_text(job)
        (folder / "token").write_text("secret\n")
        self.port = free_port()
        self.output = folder / "run"
        self.environment = {
            **os.environ,
            JOB_FILE_ENV: str(folder / "job.yaml"),
            TOKEN_FILE_ENV: str(folder / "token"),
            OUTPUT_ENV: str(self.output),
            PORT_ENV: str(self.port),
            **(environment or {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rl_platform.driver"],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, path: str, method: str = "GET", body: Any = None, token: str | None = "secret") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def progress(self, query: str = "") -> Progress:
        return Progress.model_validate_json(self.ask(f"/progress{query}"))

    def wait_for_progress(self) -> Progress:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                progress = self.progress()
                if progress.state is ProgressState.TRAINING:
                    return progress
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.1)
        raise AssertionError(f"no progress within a minute: {self.process.poll()}")

    def end(self) -> int:
        """Acknowledge the final progress and wait for the process."""
        until = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < until:
            try:
                self.progress(f"?ack={self.progress().attempt}")
            except (urllib.error.URLError, ConnectionError):
                break
            time.sleep(0.1)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
