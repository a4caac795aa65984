"""Workers join and leave a run that goes on, as ``PUT /desired`` asks, and nothing is lost by it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.train import train
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report
from tests.driver.driver_process import free_port
from tests.integration import asynchronous
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_asynchronous import asynchronously

pytestmark = pytest.mark.usefixtures("ray_here")


class Resize:
    """Asks for one number of pods after the other, each once all workers of the one before have been learned
    from; then asks the run to stop.
    """

    def __init__(self, port: int, pods: list[int]) -> None:
        self.port, self.pods, self.generation, self.noted = port, pods, 0, 0
        self.said: dict[str, Any] = {}  # at /progress in the end
        self.seen: dict[int, set[int]] = defaultdict(set)  # workers of a report → whose fragments came then

    def __call__(self, report: Report) -> None:
        workers = int(report.metrics["rollout/workers"])
        fresh, self.noted = asynchronous.LEARNED[self.noted :], len(asynchronous.LEARNED)
        self.seen[workers] |= {worker for worker, *_ in fresh}
        if workers != self._asked() or len(self.seen[workers]) < workers:
            return
        if self.generation == len(self.pods):
            said = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/progress", timeout=60).read()
            self.said = json.loads(said)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.generation += 1
        document = {"generation": self.generation, "replicas": self._asked()}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/desired", json.dumps(document).encode(), method="PUT"
        )
        urllib.request.urlopen(request, timeout=60).close()

    def _asked(self) -> int:
        return self.pods[self.generation - 1] if self.generation else 2


def test_workers_join_and_leave_a_running_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    document = asynchronously(tmp_path / "processes").model_dump(mode="json", by_alias=True)
    document["spec"] |= {"driver": {"port": port}, "stop": {"envSteps": 100_000_000}}
    resize = Resize(port, [3, 1])
    result = train(TrainingJob.model_validate(document), tmp_path / "run", on_report=resize)
    assert result.state == "Drained"
    assert resize.seen[3] >= {0, 1, 2}
    assert result.workers_lost == 0
    assert result.dropped == {}
    assert resize.said["desiredGeneration"] == 2
    assert resize.said["rolloutPods"] == [socket.gethostname()]
    assert (resize.said["workersLost"], resize.said["dropped"]) == (0, {})
    let_go = [record.getMessage() for record in caplog.records if "is let go" in record.getMessage()]
    assert [text.split()[2] for text in let_go] == ["2", "1"]
    learned: dict[int, list[int]] = defaultdict(list)
    for worker, sequence, _, _ in asynchronous.LEARNED:
        learned[worker].append(sequence)
    for worker, sequences in learned.items():
        assert sequences == list(range(len(sequences))), f"worker {worker}"
