"""The manifest that a registered model was trained with: an artifact of its MLflow run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rl_platform.serving.loading import EXPECTED, MODEL_URI, PolicyNotFoundError, registry_of
from rl_platform.serving.model_versions import MODELS, is_absent
from rl_platform.serving.reaching import why_away
from rl_platform.serving.registry import RegistryError, client_at
from rl_platform.spec.tracking_uri import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACT = "spec.yaml"
"""What a run's manifest is called in its folder, and so in MLflow."""


def manifest_of_model(uri: str, folder: str | Path, tracking_uri: str | None = None) -> Path | None:
    """The manifest of the run that made ``models:/...``, downloaded to ``folder``; None where it has none.

    The registry is that of `load_policy`. Raises PolicyNotFoundError where the URI is none or no registry is
    known, and RegistryError where there is no such model or the registry cannot be reached.
    """
    from mlflow import artifacts
    from mlflow.exceptions import MlflowException

    if not MODEL_URI.fullmatch(uri):
        raise PolicyNotFoundError(f"{uri!r} names no policy: expected {EXPECTED}")
    registry = tracking_uri or registry_of(uri)
    shown = without_password(registry)
    away = why_away(registry)
    if away is not None:
        raise RegistryError(f"cannot find {uri}: {away}")
    try:
        client = client_at(registry)
        run = _run_of(client, uri)
    except MlflowException as error:
        if is_absent(error):
            hint = (
                "check its name and its alias or version; of several policies each has a model, NAME-POLICY"
            )
            raise RegistryError(f"there is no {uri} in the registry at {shown}: {hint}") from error
        raise RegistryError(f"cannot find {uri} in the registry at {shown}: {error}") from error
    try:
        if not run or ARTIFACT not in [file.path for file in client.list_artifacts(run)]:
            return None
        found = artifacts.download_artifacts(
            run_id=run, artifact_path=ARTIFACT, dst_path=str(folder), tracking_uri=registry
        )
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"cannot read {ARTIFACT} of the run {run}, which made {uri}, at {shown}: {error}"
        ) from error
    return Path(found)


def _run_of(client: MlflowClient, uri: str) -> str | None:
    name, at, alias = uri.removeprefix(MODELS).partition("@")
    if at:
        return client.get_model_version_by_alias(name, alias).run_id
    name, slash, version = name.partition("/")
    if slash:
        return client.get_model_version(name, version).run_id
    return client.get_logged_model(name).source_run_id
