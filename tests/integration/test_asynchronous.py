"""Fragments taken as they come: none is lost uncounted, none is too old, and a checkpoint holds them all."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver.train import train
from rl_platform.execution.remote_sampling import LAG
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import read_reports
from tests.integration import asynchronous
from tests.integration.probes import PPO, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_resume import Stop

pytestmark = pytest.mark.usefixtures("ray_here")


def asynchronously(folder: Path, env_steps: int = 4_000, **config: Any) -> TrainingJob:
    folder.mkdir(exist_ok=True)
    asynchronous.LEARNED.clear()
    kwargs = {"folder": str(folder), "driver": os.getpid()}
    rates = {"learningRate": 1e-3, "clipRange": 0.2, "entropyCoefficient": 0.0}
    config = PPO | rates | {"batchSize": 64, "minibatchSize": 64} | config
    return job(
        {"entrypoint": "tests.integration.risky:Risky", "kwargs": kwargs},
        {"custom": {"entrypoint": "tests.integration.asynchronous:ALGORITHM", "config": config}},
        rollouts={"replicas": 2, "envsPerWorker": 2},
        stop={"envSteps": env_steps},
    )


def sequences() -> dict[int, list[int]]:
    """Numbers of the fragments that were learned from, by worker, in the order in which they were."""
    found: dict[int, list[int]] = defaultdict(list)
    for worker, sequence, _, _ in asynchronous.LEARNED:
        found[worker].append(sequence)
    return found


def test_every_fragment_is_learned_from_once_over_a_drain_and_a_resume(tmp_path: Path) -> None:
    of = asynchronously(tmp_path / "processes")
    part = train(of, tmp_path / "run", on_report=Stop(1_500))
    assert part.state == "Drained"
    held = load(resolve(str(tmp_path / "run"))).state["plan"]["operators"]["asynchronous/rollouts"]
    assert len(held["fragments"]) == 3  # two requests at each of two workers, less the one just taken
    rest = train(of, tmp_path / "run", taking="resume")
    assert rest.state == "Succeeded"
    for worker, learned in sequences().items():
        assert learned == list(range(len(learned))), f"worker {worker}"
    assert sum(steps for _, _, steps, _ in asynchronous.LEARNED) == rest.env_steps
    assert rest.dropped == {}
    reports = list(read_reports(tmp_path / "run" / "progress.jsonl"))
    name = "edge/asynchronous/rollouts/depth"
    assert max(report.metrics.get(name, 0) for report in reports) >= 1
    assert reports[-1].metrics["rollout/policy_lag"] >= 1


def test_fragments_that_are_too_old_are_dropped_and_counted(tmp_path: Path) -> None:
    result = train(asynchronously(tmp_path / "processes", maxLag=1), tmp_path / "run")
    lags = [lag for _, _, _, lag in asynchronous.LEARNED]
    assert max(lags) <= 1
    learned = sum(steps for _, _, steps, _ in asynchronous.LEARNED)
    assert result.dropped == {LAG: result.env_steps - learned}
    assert 0 < learned < result.env_steps
