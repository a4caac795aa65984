"""The protocol between operator and driver, on a real run: progress, metrics, desired, drain,
acknowledgement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_platform.spec.driver_protocol import (
    JOB_FILE_ENV,
    OUTPUT_ENV,
    PORT_ENV,
    TOKEN_FILE_ENV,
    ExitCode,
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

    def __init__(self, folder: Path) -> None:
        (folder / "job.yaml").write_text(JOB)
        (folder / "token").write_text("secret\n")
        self.port = _free_port()
        self.output = folder / "run"
        environment = {
            **os.environ,
            JOB_FILE_ENV: str(folder / "job.yaml"),
            TOKEN_FILE_ENV: str(folder / "token"),
            OUTPUT_ENV: str(self.output),
            PORT_ENV: str(self.port),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rl_platform.driver"], env=environment, stderr=subprocess.PIPE, text=True
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


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    running = Driver(tmp_path)
    yield running
    running.process.kill()
    running.process.communicate()


def test_drain_checkpoints_and_ends_as_drained_once_the_end_was_acknowledged(driver: Driver) -> None:
    first = driver.wait_for_progress()
    assert first.attempt == 1
    assert first.env_steps > 0
    assert first.edges[0].name == "ppo/rollouts"
    metrics = driver.ask("/metrics", token=None)
    assert "rlp_env_steps_total" in metrics
    assert 'edge="ppo/train_one_step"' in metrics
    with pytest.raises(urllib.error.HTTPError) as refused:
        driver.ask("/progress", token="wrong")
    assert refused.value.code == 403
    driver.ask("/drain", "POST")
    began = time.monotonic()
    assert driver.end() == ExitCode.DRAINED
    assert time.monotonic() - began < 25  # it did not linger for the whole 30 s
    result = json.loads((driver.output / "result.json").read_text())
    assert result["state"] == "Drained"
    assert Path(result["checkpoint"]).is_dir()


def test_stop_rules_that_are_put_while_it_runs_replace_those_of_the_job(driver: Driver) -> None:
    now = driver.wait_for_progress()
    stop = {"envSteps": now.env_steps + 5000}
    driver.ask("/desired", "PUT", {"generation": 7, "stop": stop})
    assert driver.end() == ExitCode.DONE
    result = json.loads((driver.output / "result.json").read_text())
    assert result["reason"] == "EnvStepsReached"
    assert result["envSteps"] < 100_000_000


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
