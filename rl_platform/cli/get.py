"""``rlp get``: the jobs of a namespace as a table, or one in full."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rl_platform.cli.amounts import age, table
from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import ClusterError, InputRefused
from rl_platform.cli.errors import say
from rl_platform.cli.job_account import account, algorithm, environment, model, rollouts
from rl_platform.cli.job_events import events_of
from rl_platform.cli.job_progress import episode_return, measures, short_steps
from rl_platform.cli.jobs import all_jobs, cluster_of, find_job
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.manifest import yaml_text

NONE = "-"


def get(arguments: argparse.Namespace) -> int:
    """Prints; raises ClusterError."""
    form = "json" if arguments.json else arguments.output
    everywhere = arguments.all_namespaces
    if arguments.name and everywhere:
        raise InputRefused("a name and --all-namespaces do not go together: name the job's --namespace")
    cluster = cluster_of(arguments)
    now = datetime.now(UTC)
    if arguments.name:
        job = find_job(cluster, arguments.name)
        print(_document(_shown(job), form) if form in ("yaml", "json") else _told(cluster, job, form, now))
        return int(ExitCode.DONE)
    jobs = all_jobs(cluster, None if everywhere else cluster.namespace)
    if form in ("yaml", "json"):
        listed = {"apiVersion": "v1", "kind": "List", "items": [_shown(job) for job in jobs]}
        print(_document(listed, form))
    elif jobs:
        print(table(rows(jobs, now, wide=form == "wide", everywhere=everywhere)))
    else:
        place = "this cluster" if everywhere else f"namespace {cluster.namespace}"
        say(f"there are no jobs in {place}")
    return int(ExitCode.DONE)


def rows(jobs: Sequence[SeenJob], now: datetime, *, wide: bool, everywhere: bool) -> list[tuple[str, ...]]:
    """The table's header and a row per job."""
    columns: dict[str, list[str]] = {
        **({"NAMESPACE": [job.namespace for job in jobs]} if everywhere else {}),
        "NAME": [job.name for job in jobs],
        "STATE": [job.state for job in jobs],
        "STEPS": [short_steps(job) for job in jobs],
        "RETURN": [episode_return(job) for job in jobs],
        "CHECKPOINT": [_checkpoint(job) for job in jobs],
        "ATTEMPT": [str(job.attempt or "") for job in jobs],
        "AGE": [age(job.text("metadata", "creationTimestamp"), now) for job in jobs],
    }
    if wide:
        columns |= {
            "ALGORITHM": [algorithm(job) for job in jobs],
            "ENVIRONMENT": [environment(job) for job in jobs],
            "ROLLOUTS": [rollouts(job) for job in jobs],
            "MODEL": [model(job) for job in jobs],
            "WAITS FOR": [job.waits_for(now) for job in jobs],
        }
    cells = zip(*columns.values(), strict=True)
    return [tuple(columns), *(tuple(cell or NONE for cell in row) for row in cells)]


def _checkpoint(job: SeenJob) -> str:
    return next((each.removeprefix("checkpoint at ") for each in measures(job) if "checkpoint" in each), "")


def _told(cluster: Cluster, job: SeenJob, form: str | None, now: datetime) -> str:
    if form == "wide":
        return table(rows([job], now, wide=True, everywhere=False))
    try:
        return account(job, events_of(cluster, job), now)
    except ClusterError as error:
        return account(job, str(error), now)


def _shown(job: SeenJob) -> dict[str, Any]:
    """The object without the book-keeping of who owns which field, as kubectl shows it."""
    metadata = {name: value for name, value in job.at("metadata").items() if name != "managedFields"}
    return {**job.document, "metadata": metadata}


def _document(document: Mapping[str, Any], form: str) -> str:
    return json.dumps(document, indent=2) if form == "json" else yaml_text(document).rstrip("\n")
