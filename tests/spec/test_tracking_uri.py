"""Which tracking URIs a manifest takes: those that MLflow can use, told before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.spec.manifest import ManifestError, parse_manifests
from rl_platform.spec.tracking_uri import sqlite_file

TEXT = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: a-job}
spec:
  environment: {id: CartPole-v1}
  algorithm: {ppo: {}}
  stop: {envSteps: 1000}
  tracking: {mlflowUri: "URI"}
"""


@pytest.mark.parametrize(
    "uri",
    [
        *("http://mlflow:5000", "https://me:secret@mlflow.example/path", "sqlite:////data/mlflow.db"),
        *("sqlite:///mlflow.db", "postgresql+psycopg2://me@db:5432/mlflow", "postgresql:///mlflow"),
        *("databricks", "databricks://profile", "uc:http://host:8080"),
    ],
)
def test_what_mlflow_can_use_is_taken(uri: str) -> None:
    (job,) = parse_manifests(TEXT.replace("URI", uri))
    assert job.spec.tracking.mlflow_uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("foo://bar", "http//typo", "http:/typo", "http://", "http://:5000", "mlflow:5000", "mlflow.db"),
        *("sqlite://mlflow.db", "sqlite:///", "/data/mlruns", "file:///data/mlruns", "databricks-of-mine"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(uri: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifests(TEXT.replace("URI", uri))
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (8, "spec.tracking.mlflowUri")
    assert "http://HOST:PORT" in f"{problem.message} {problem.hint}"


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        *(("sqlite:////data/mlflow.db", "/data/mlflow.db"), ("sqlite+pysqlite:///mlflow.db", "mlflow.db")),
        *(("sqlite:////mes modèles/50%.db", "/mes modèles/50%.db"), ("postgresql:///mlflow", None)),
        *(("sqlite:///:memory:", None), ("sqlite:///a.db?mode=ro", None), ("http://mlflow:5000", None)),
    ],
)
def test_the_file_of_a_database_is_read_from_its_uri(uri: str, file: str | None) -> None:
    assert sqlite_file(uri) == (Path(file) if file else None)
