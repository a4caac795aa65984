from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from rl_platform.serving.registry import ModelVersion, register
from tests.serving.cases import Case, cases


@dataclass(frozen=True)
class Registry:
    """An embedded MLflow store with one run in it."""

    uri: str
    run_id: str
    folder: Path

    def register(
        self, case: Case, name: str, attempt: int = 1, alias: str = "champion", **more: object
    ) -> ModelVersion:
        folder = self.folder / "bundles" / f"{name}-{more.get('checkpoint_digest', attempt)}" / "policy"
        bundle = case.bundle(folder)
        arguments = {"job_uid": "uid-1", "checkpoint_digest": "abc", "run_id": self.run_id, **more}
        return register(self.uri, name, bundle.folder, alias=alias, attempt=attempt, **arguments)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def policies() -> dict[str, Case]:
    return cases()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Making the tables takes seconds, so all tests share the store, under names of their own."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = MlflowClient(uri, registry_uri=uri)
    experiment = client.create_experiment("serving", (folder / "mlartifacts").as_uri())
    return Registry(uri, client.create_run(experiment).info.run_id, folder)
