"""A job, its run's folder, and an MLflow store that need not be migrated again for every test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_platform.spec.training_job import TrainingJob

KEY = "rollout/episode_return_mean"


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty sqlite store; making its tables takes seconds, copying it nothing."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}", registry_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def run_dir(tmp_path: Path, migrated_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with an empty embedded store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(migrated_store, folder / "mlflow.db")
    (folder / "spec.yaml").write_text("seed: 3\n")
    (folder / "result.json").write_text('{"state": "Succeeded"}\n')
    return folder


@pytest.fixture
def make_job() -> Callable[..., TrainingJob]:
    """A small job; keywords replace groups of its spec."""

    def make(**spec: Any) -> TrainingJob:
        groups = {
            "seed": 3,
            "environment": {"id": "CartPole-v1"},
            "algorithm": {"ppo": {}},
            "stop": {"envSteps": 1000},
        }
        return TrainingJob.model_validate(
            {"apiVersion": "rlplatform.io/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "poles"}}
            | {"spec": groups | spec}
        )

    return make


@pytest.fixture
def points() -> Callable[..., list[tuple[int, float, int]]]:
    """(step, value, milliseconds since 1970) of a metric in a store, in the order of steps."""

    def read(tracking_uri: str, run_id: str, key: str = KEY) -> list[tuple[int, float, int]]:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
        return sorted(
            (each.step, each.value, each.timestamp) for each in client.get_metric_history(run_id, key)
        )

    return read
