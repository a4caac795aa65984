"""One MLflow run, opened, fed and ended so that doing any of it twice changes nothing. Imports MLflow.

It lives in the writer's process, never in the one that trains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rl_platform.tracking.embedded_store import make_store
from rl_platform.tracking.mlflow_names import MAX_METRICS, MAX_PARAMS, MAX_TAG_VALUE, in_chunks, legal_metrics
from rl_platform.tracking.mlflow_settings import UID_TAG, MlflowSettings
from rl_platform.tracking.report import Report

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

CHANGED_PARAMS_TAG = "rlplatform.changed-params"


class MlflowRun:
    """An open run. Every method may raise what MLflow raises; calling it again goes on from there."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self._client = client
        self.run_id: str = run.info.run_id
        # The latest step of each metric; the public view of a run has the values only.
        self._sent: dict[str, int] = {each.key: each.step for each in run.data._metric_objs}

    def log(self, reports: Sequence[Report]) -> None:
        """Send reports in batches that MLflow takes, without what the run has already (metric, env steps).

        What was sent but not known to be taken comes again with the same time, and MLflow drops it.
        """
        from mlflow.entities import Metric

        metrics: list[Metric] = []
        sent = dict(self._sent)
        for report in reports:
            millis = round(report.time * 1000)
            for key, value in _values(report).items():
                if report.env_steps > sent.get(key, -1):
                    sent[key] = report.env_steps
                    metrics.append(Metric(key, value, millis, report.env_steps))
        for chunk in in_chunks(metrics, MAX_METRICS):
            self._client.log_batch(self.run_id, metrics=chunk)
            self._sent |= {metric.key: metric.step for metric in chunk}

    def attach(self, files: Sequence[Path]) -> None:
        """Upload those of the files that exist as artifacts of the run."""
        for file in files:
            if file.is_file():
                self._client.log_artifact(self.run_id, str(file))

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.run_id, status)


def open_run(settings: MlflowSettings, run_id: str | None) -> MlflowRun:
    """The job's run: the one of ``run_id``, else the one tagged with the job's uid, else a new one.

    It is RUNNING afterwards, with the tags of this attempt and the params of the job.
    """
    from mlflow import MlflowClient

    make_store(settings.tracking_uri)
    client = MlflowClient(settings.tracking_uri, registry_uri=settings.tracking_uri)
    experiment = _experiment(client, settings)
    run = _known_run(client, run_id) or _tagged_run(client, experiment, settings.job_uid)
    if run is None:
        run = client.create_run(experiment, tags=settings.tags, run_name=settings.run_name)
    else:
        client.update_run(run.info.run_id, status="RUNNING")
        _log_tags(client, run.info.run_id, settings.tags)
    _log_params(client, run, settings.params)
    return MlflowRun(client, run)


def _experiment(client: MlflowClient, settings: MlflowSettings) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(settings.experiment)
    if found is None:
        try:
            return str(client.create_experiment(settings.experiment, settings.artifact_location))
        except MlflowException as error:
            # Another run of the same experiment may have been quicker.
            found = client.get_experiment_by_name(settings.experiment)
            if found is None:
                raise error from None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _known_run(client: MlflowClient, run_id: str | None) -> Run | None:
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _tagged_run(client: MlflowClient, experiment: str, job_uid: str) -> Run | None:
    """Finds the run of a crash between its creation and the note of its id."""
    found = client.search_runs([experiment], f"tags.`{UID_TAG}` = '{job_uid}'", max_results=1)
    return client.get_run(found[0].info.run_id) if found else None


def _log_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def _log_params(client: MlflowClient, run: Run, params: Mapping[str, str]) -> None:
    """Params can't be changed; where a resumed job has other values, a tag says what they are now."""
    from mlflow.entities import Param

    known = run.data.params
    new = [Param(key, value) for key, value in params.items() if key not in known]
    for chunk in in_chunks(new, MAX_PARAMS):
        client.log_batch(run.info.run_id, params=chunk)
    changed = {key: value for key, value in params.items() if known.get(key, value) != value}
    if changed:
        text = json.dumps(changed, sort_keys=True)[:MAX_TAG_VALUE]
        client.set_tag(run.info.run_id, CHANGED_PARAMS_TAG, text)


def _values(report: Report) -> dict[str, float]:
    totals = {
        "progress/updates": float(report.updates),
        "progress/wall_seconds": report.wall_seconds,
        **{f"progress/{policy}/agent_steps": float(steps) for policy, steps in report.agent_steps.items()},
    }
    return legal_metrics(totals | report.metrics)
