"""Model versions: who is champion now, and a new version with its alias. Imports MLflow when called.

Everything here may be called by name from another process: arguments and what is returned are plain values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rl_platform.serving.bundle import BundleError, open_bundle
from rl_platform.serving.model_versions import (
    CHALLENGER,
    checked_alias,
    create_version,
    ensure_registered_model,
    is_absent,
    location,
    log_metrics,
    log_model,
    registered,
)
from rl_platform.spec.tracking_uri import sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "Champion",
    "ModelVersion",
    "RegistryError",
    "current_champion",
    "download",
    "promotion",
    "register",
]

CHAMPION = "champion"


class RegistryError(Exception):
    """The registry refused or cannot be reached. The message says which, where, and why."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that has the alias. ``bundle`` is its policy on this machine; ``problem``: why not."""

    name: str
    version: str
    uri: str
    bundle: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version; ``message`` says why it has this alias where that is not plain."""

    name: str
    version: str
    uri: str
    alias: str
    message: str | None = None


def current_champion(
    tracking_uri: str, name: str, folder: str | Path, alias: str = CHAMPION
) -> Champion | None:
    """Who holds the alias, with the policy downloaded to ``folder``; None where no version does.

    One that cannot be downloaded or is no policy of ours is told with its problem. Raises RegistryError.
    """
    from mlflow.exceptions import MlflowException

    client = client_at(tracking_uri)
    try:
        version = client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if is_absent(error):
            return None
        raise _failed(f"ask for {name}@{alias}", tracking_uri, error) from error
    uri = f"models:/{name}/{version.version}"
    try:
        bundle = download(tracking_uri, uri, folder)
    except (RegistryError, BundleError) as error:
        return Champion(name, str(version.version), uri, problem=str(error))
    return Champion(name, str(version.version), uri, bundle=str(bundle))


def download(tracking_uri: str, uri: str, folder: str | Path | None = None) -> Path:
    """The policy bundle of ``models:/...`` on this machine, in ``folder`` or where it lies already.

    Raises RegistryError or BundleError.
    """
    from mlflow import artifacts
    from mlflow.exceptions import MlflowException

    from rl_platform.serving.mlflow_model import bundle_in

    try:
        # MLflow resolves models:/ in its global store, whatever the arguments say: so it is resolved here.
        stored = location(client_at(tracking_uri), uri)
        path = artifacts.download_artifacts(
            stored, dst_path=str(folder) if folder else None, tracking_uri=tracking_uri
        )
    except (MlflowException, OSError) as error:
        raise _failed(f"load {uri}", tracking_uri, error) from error
    return open_bundle(bundle_in(Path(path))).folder


def register(
    tracking_uri: str,
    name: str,
    bundle: str | Path,
    *,
    alias: str,
    job_uid: str,
    attempt: int,
    checkpoint_digest: str,
    policy: str = "default",
    run_id: str | None = None,
    env_steps: int = 0,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    champion: str | None = None,
    champion_alias: str = CHAMPION,
) -> ModelVersion:
    """Register a bundle as a version of ``name`` and give it an alias.

    Done twice for the same job, checkpoint and policy it is the same version, whichever attempt does it.
    ``champion`` is the version that this one was compared with (None: there was none): where
    ``champion_alias`` has moved on since, the new version becomes challenger, because it was not compared
    with the present one.
    ``metrics`` belong to the model, at ``env_steps``. Raises RegistryError.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    # An SQL registry looks up the model that a version is made of in MLflow's global store.
    mlflow.set_tracking_uri(tracking_uri)
    client = client_at(tracking_uri)
    identity = {
        "rlplatform.job.uid": job_uid,
        "rlplatform.checkpoint.digest": checkpoint_digest,
        "rlplatform.policy": policy,
    }
    try:
        version = registered(client, name, identity)
        if version is None:
            ensure_registered_model(client, name)
            model_id = log_model(client, name, Path(bundle), run_id)
            log_metrics(client, model_id, run_id, env_steps, metrics or {})
            lineage = {**(tags or {}), "rlplatform.attempt": str(attempt), **identity}
            version = create_version(client, name, model_id, run_id, lineage)
        message = None
        if alias == champion_alias:
            alias, message = checked_alias(client, name, str(version.version), champion, champion_alias)
        client.set_registered_model_alias(name, alias, version.version)
    except MlflowException as error:
        raise _failed(f"register {name}", tracking_uri, error) from error
    return ModelVersion(name, str(version.version), f"models:/{name}/{version.version}", alias, message)


def promotion(
    candidate: float | None,
    champion: Champion | None,
    champion_return: float | None,
    problem: str | None = None,
    alias: str = CHAMPION,
) -> tuple[str, str]:
    """The alias that a candidate earns, and why.

    ``alias`` moves to it where it is not worse than the present champion in the same evaluation, or where
    there is none to compare with. ``problem`` says why that one could not be evaluated (other spaces, …).
    """
    if champion is None:
        return alias, "there was no champion before"
    title = f"the champion before, version {champion.version},"
    if candidate is None:
        return CHALLENGER, f"{title} stays, because this one was not evaluated"
    if champion_return is None or math.isnan(champion_return):
        why = problem or champion.problem or "it was not evaluated"
        return alias, f"{title} could not be compared with: {why}"
    figures = f"reached {champion_return:.6g} in the same evaluation, this one {candidate:.6g}"
    if candidate >= champion_return:
        return alias, f"{title} {figures}"
    return CHALLENGER, f"{title} stays: it {figures}"


def client_at(tracking_uri: str) -> MlflowClient:
    """Raises RegistryError where the database is not there: MLflow would make one wherever a typo leads."""
    from mlflow import MlflowClient

    database = sqlite_file(tracking_uri)
    if database is not None and not database.exists():
        raise RegistryError(f"there is no registry at {tracking_uri}: {database} does not exist")
    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def _failed(doing: str, tracking_uri: str, error: Exception) -> RegistryError:
    return RegistryError(f"cannot {doing} in the registry at {tracking_uri}: {error}")
