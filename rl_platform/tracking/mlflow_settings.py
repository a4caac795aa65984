"""What the MLflow run of a job is called and says of the job, kept in the run's folder for a later flush."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rl_platform.spec import patterns
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import JOB_UID_ENV
from rl_platform.spec.tracking_uri import without_password
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_names import MAX_TAG_VALUE, flat_params

FOLDER = "tracking"
STATE = "state.json"
_SETTINGS = "settings.json"
UID_TAG = "rlplatform.job.uid"


@dataclass(frozen=True, slots=True)
class MlflowSettings:
    """Everything the writer needs besides the reports. ``status``: how the run ended, empty while it runs."""

    tracking_uri: str
    artifact_location: str | None  # of a new experiment; None: the server's choice
    experiment: str
    run_name: str
    job_uid: str
    attempt: int
    params: dict[str, str]
    tags: dict[str, str]
    status: str = ""

    @property
    def shown_uri(self) -> str:
        """The server's URI for messages, without a password in it."""
        return without_password(self.tracking_uri)

    def save(self, run_dir: Path) -> None:
        """Raises OSError."""
        write_json(run_dir / FOLDER / _SETTINGS, asdict(self))

    def ended(self, status: str) -> MlflowSettings:
        """The same with a final status: FINISHED, FAILED or KILLED."""
        return replace(self, status=status)


def load_settings(run_dir: Path) -> MlflowSettings | None:
    """What was saved in a run's folder; None where it has no readable settings."""
    document = read_json(run_dir / FOLDER / _SETTINGS)
    try:
        return MlflowSettings(**document) if document else None
    except TypeError:
        return None


def load_state(run_dir: Path, settings: MlflowSettings) -> dict[str, Any]:
    """What the writer noted of the run: ``run_id``, ``position``; empty where that was at another server."""
    state = read_json(run_dir / FOLDER / STATE)
    return state if state.get("server") == settings.shown_uri else {}


def own_store(run_dir: Path) -> str:
    """The URI of the sqlite store in a run's folder."""
    return f"sqlite:///{run_dir.resolve() / 'mlflow.db'}"


def tracking_server(job: TrainingJob, run_dir: Path) -> str:
    """``spec.tracking.mlflowUri``, else MLFLOW_TRACKING_URI, else sqlite in the run's folder.

    Raises ValueError where the variable holds what MLflow could not use: it would be told at the run's end.
    """
    uri = job.spec.tracking.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return own_store(run_dir)  # the folder's path may hold whatever paths hold
    if not re.fullmatch(patterns.TRACKING_URI, uri):
        raise ValueError(f"MLFLOW_TRACKING_URI is {uri!r}; {patterns.SENTENCES[patterns.TRACKING_URI]}")
    return uri


def settings_of(
    job: TrainingJob, run_dir: Path, attempt: int, versions: Mapping[str, str | None]
) -> MlflowSettings:
    """The settings of an attempt. A job without a uid of a cluster gets one that its folder keeps."""
    run_dir = run_dir.resolve()
    uri = tracking_server(job, run_dir)
    before = load_settings(run_dir)
    kept = before.job_uid if before else str(uuid.uuid4())
    uid = os.environ.get(JOB_UID_ENV) or job.metadata.uid or kept
    spec = job.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]
    spec["tracking"].pop("mlflowUri", None)  # it may hold a password
    tags = {
        UID_TAG: uid,
        "rlplatform.job.name": job.metadata.name,
        "rlplatform.attempt": str(attempt),
        "rlplatform.seed": str(job.spec.seed),
        "rlplatform.spec.digest": spec_digest(job.spec),
        "mlflow.source.name": "rlp",
        "mlflow.source.type": "JOB",
    }
    if versions.get("gitCommit"):
        tags["mlflow.source.git.commit"] = str(versions["gitCommit"])
    tags |= {
        f"rlplatform.version.{name}": str(v) for name, v in versions.items() if v and name != "gitCommit"
    }
    return MlflowSettings(
        tracking_uri=uri,
        artifact_location=(run_dir / "mlartifacts").as_uri() if uri == own_store(run_dir) else None,
        experiment=job.experiment,
        run_name=job.metadata.name,
        job_uid=uid,
        attempt=attempt,
        params=flat_params(spec),
        tags={key: value[:MAX_TAG_VALUE] for key, value in tags.items()},
    )


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Whole or not at all, and for this user only: a server's URI may hold a password. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(document))
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A document that `write_json` wrote; empty where there is none or it is damaged."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
