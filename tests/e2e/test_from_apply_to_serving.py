"""The whole way: the chart from scratch, a job, its progress, its model, an application that loads it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cluster.live_cluster import Json, LiveCluster, condition, phase
from tests.cluster.slow_jobs import CLAIM
from tests.cluster.volume_claims import volume_claim
from tests.e2e.example_jobs import example, on_claim
from tests.e2e.port_forward import forwarded
from tests.e2e.release import MLFLOW, Release
from tests.e2e.served_model import deviation, play, record
from tests.e2e.start_up import StartUp

NAME = "cartpole-ppo"
SECONDS_TO_FIRST_STEP = 60.0
SECONDS_TO_TRAIN = 900.0
# At full speed it is over before its progress, which is written every ten seconds, has been seen.
PACED = {"id": None, "entrypoint": "slow:Slow", "kwargs": {"seconds": 0.0002}}


def follow(jobs: LiveCluster, start: StartUp) -> tuple[list[Json], Json]:
    """Every progress that was seen, and the status at the end."""
    seen: list[Json] = []
    until = time.monotonic() + SECONDS_TO_TRAIN
    while True:
        status = jobs.status(NAME)
        start.look(status)
        if status.get("progress") and status["progress"] not in seen:
            seen.append(status["progress"])
        if phase("Succeeded", "Failed")(status):
            return seen, status
        assert time.monotonic() < until, status
        time.sleep(0.2)


def assert_lineage(jobs: LiveCluster, status: Json) -> None:
    client = MlflowClient()
    version = client.get_model_version_by_alias(NAME, "champion")
    tags = version.tags
    assert tags["rlplatform.job"] == NAME
    assert tags["rlplatform.job.uid"] == jobs.job(NAME)["metadata"]["uid"]
    assert tags["rlplatform.attempt"] == str(status["attempt"])
    assert tags["rlplatform.spec.digest"] == status["specDigest"]
    assert tags["rlplatform.checkpoint"] == status["checkpoint"]["uri"]
    assert tags["rlplatform.checkpoint.digest"] == status["checkpoint"]["digest"]
    assert "sha256:" in tags["rlplatform.image"]
    assert {"rlplatform.version.package", "rlplatform.version.torch", "rlplatform.version.python"} <= set(
        tags
    )
    assert re.fullmatch("[0-9a-f]{40}", tags["rlplatform.version.gitCommit"])
    assert version.run_id == status["mlflow"]["runId"]
    assert client.get_run(version.run_id).info.status == "FINISHED"


def test_a_job_is_applied_trains_and_is_served(
    release: Release, jobs: LiveCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with volume_claim(jobs, CLAIM):
        job = example(NAME, release.mlflow, environment=PACED, **on_claim(NAME))
        jobs.create(TRAINING_JOBS, job)
        start = StartUp(jobs, NAME)
        seen, status = follow(jobs, start)
        assert condition(status, "Succeeded")["status"] == "True", status
        jobs.wait_for("pods are gone", lambda: not jobs.holds(NAME))
    steps = [it["envSteps"] for it in seen]
    assert steps == sorted(steps)
    assert len(seen) >= 3, seen
    returns = [it["episodeReturnMean"] for it in seen if it.get("episodeReturnMean") is not None]
    assert returns[-1] > returns[0]
    left = [it["etaSeconds"] for it in seen if it.get("etaSeconds") is not None]
    assert left[-1] < left[0]
    assert status["model"]["uri"] == f"models:/{NAME}@champion"

    with forwarded(release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
        mlflow.set_tracking_uri(server)
        assert_lineage(jobs, status)
        record(NAME, tmp_path / "recordings")
        assert deviation(server, NAME, tmp_path / "recordings") <= 1e-5
        assert play(server, NAME, tmp_path) >= 475

    steps_of_start = start.steps()
    print(f"seconds from apply: {steps_of_start}")  # noqa: T201 - the figures are the report
    assert steps_of_start["first env step"] <= SECONDS_TO_FIRST_STEP
