"""The single steps of registering with an MLflow client; each may raise what MLflow raises."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_platform.serving.bundle import open_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

MODELS = "models:/"
CHALLENGER = "challenger"
_CREATED_FOR_SECONDS = 60


def location(client: MlflowClient, uri: str) -> str:
    """Where the files of ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``models:/m-ID`` are stored."""
    name, at, alias = uri.removeprefix(MODELS).partition("@")
    if at:
        version = str(client.get_model_version_by_alias(name, alias).version)
    else:
        name, slash, version = name.partition("/")
        if not slash:
            return str(client.get_logged_model(name).artifact_location)
    stored = str(client.get_model_version_download_uri(name, version))
    return location(client, stored) if stored.startswith(MODELS) else stored


def registered(client: MlflowClient, name: str, wanted: Mapping[str, str]) -> MlflowVersion | None:
    """The first version with these tags."""
    quoted = name.replace("'", "''")
    conditions = [f"name = '{quoted}'"] + [f"tags.`{tag}` = '{value}'" for tag, value in wanted.items()]
    found = client.search_model_versions(" AND ".join(conditions))
    return min(found, key=lambda version: int(version.version)) if found else None


def ensure_registered_model(client: MlflowClient, name: str) -> None:
    """Create it; that it is there already is as good."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, {"rlplatform.kind": "policy"})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def log_model(client: MlflowClient, name: str, bundle: Path, run_id: str | None) -> str:
    """A logged model of the run's experiment, with its files; its id."""
    from rl_platform.serving.mlflow_model import save_model

    experiment = client.get_run(run_id).info.experiment_id if run_id else "0"
    model = client.create_logged_model(experiment, name, run_id, model_type="policy")
    model_id: str = model.model_id
    with tempfile.TemporaryDirectory(prefix="rlp-model-") as folder:
        path = Path(folder, "model")
        save_model(path, open_bundle(bundle), run_id, model_id)
        client.log_model_artifacts(model_id, str(path))
    client.finalize_logged_model(model_id, "READY")
    return model_id


def create_version(
    client: MlflowClient, name: str, model_id: str, run_id: str | None, tags: Mapping[str, str]
) -> MlflowVersion:
    """The tags come with it in one step, so that whoever looks for them finds a version or none."""
    return client.create_model_version(
        name,
        f"{MODELS}{model_id}",
        run_id,
        dict(tags),
        await_creation_for=_CREATED_FOR_SECONDS,
        model_id=model_id,
    )


def log_metrics(
    client: MlflowClient, model_id: str, run_id: str | None, env_steps: int, metrics: Mapping[str, float]
) -> None:
    """Metrics of the model, at ``env_steps`` of its run; without a run MLflow has no place for them."""
    if run_id:
        for key, value in metrics.items():
            client.log_metric(run_id, key, value, step=env_steps, model_id=model_id)


def checked_alias(
    client: MlflowClient, name: str, version: str, compared: str | None, champion_alias: str
) -> tuple[str, str | None]:
    """The champion's alias if it is free or where it was when versions were compared, else challenger."""
    from mlflow.exceptions import MlflowException

    try:
        present = str(client.get_model_version_by_alias(name, champion_alias).version)
    except MlflowException as error:
        if not is_absent(error):
            raise
        return champion_alias, None
    if present in (compared, version):
        return champion_alias, None
    return (
        CHALLENGER,
        f"version {present} became {champion_alias} meanwhile, and this one was not compared with it",
    )


def is_absent(error: Any) -> bool:
    """Whether an MlflowException says that there is no such thing."""
    # An alias that does not exist is an invalid parameter to the SQL store and not found to others.
    text = str(error).lower()
    return error.error_code == "RESOURCE_DOES_NOT_EXIST" or "not found" in text
