"""``rlp suspend`` and ``rlp resume``: stop with a checkpoint and give the cluster back; go on from there."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rl_platform.cli.amounts import duration
from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import ClusterError, InputRefused
from rl_platform.cli.errors import failed
from rl_platform.cli.job_progress import headline
from rl_platform.cli.jobs import cluster_of, find_job, jobs_path
from rl_platform.cli.screen import Screen
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.conditions import Phase
from rl_platform.spec.driver_protocol import ExitCode

LOOK_SECONDS = 1.0
MERGE = "application/merge-patch+json"
MANAGER = "rlp-suspend"  # not that of rlp submit: who submits a manifest again does not thereby resume


def suspend(arguments: argparse.Namespace) -> int:
    """1 where the job has ended already, or with --wait ends or is not suspended in time."""
    cluster = cluster_of(arguments)
    job = find_job(cluster, arguments.name)
    if job.wants_suspension:
        print(f"{job.name} is to be suspended already ({job.state})")
    else:
        job = _set(cluster, job, True)
        resume_hint = cluster.hint("resume", job.name)
        begun = "saves a checkpoint, stops, and gives its cluster back"
        print(f"{job.name} {begun if job.attempt else 'does not begin'}; {resume_hint} lets it go on")
    return _wait(cluster, job, arguments, lambda seen: seen.suspended)


def resume(arguments: argparse.Namespace) -> int:
    """1 where the job has ended already, or with --wait does not train in time."""
    cluster = cluster_of(arguments)
    job = find_job(cluster, arguments.name)
    if not job.wants_suspension:
        print(f"{job.name} is not suspended ({job.state}): nothing changed")
    else:
        saved = job.number("status", "checkpoint", "envSteps")
        start = f"its checkpoint at {saved:,.0f} env steps" if saved is not None else "the beginning"
        job = _set(cluster, job, False)
        print(f"{job.name} gets a new cluster and goes on from {start}")
        print(f"{cluster.hint('watch', job.name)} shows how it goes")
    return _wait(cluster, job, arguments, _goes_on)


def _goes_on(job: SeenJob) -> bool:
    """A short job may end between two looks."""
    return job.state == Phase.TRAINING or job.finished is Phase.SUCCEEDED


def _set(cluster: Cluster, job: SeenJob, suspended: bool) -> SeenJob:
    if job.finished:
        word = "suspend" if suspended else "resume"
        raise ClusterError(f"{job.name} has ended ({job.finished}): there is nothing to {word}")
    patch = {"metadata": {"uid": job.uid}, "spec": {"runPolicy": {"suspend": suspended}}}
    path = jobs_path(job.namespace, job.name)
    return SeenJob(
        cluster.send(
            "PATCH", path, query=(("fieldManager", MANAGER),), body=patch, content_type=MERGE
        ).document
    )


def _wait(
    cluster: Cluster, job: SeenJob, arguments: argparse.Namespace, reached: Callable[[SeenJob], bool]
) -> int:
    """With --wait, until the operator has acted on what was asked for, and it is so."""
    if not arguments.wait:
        return int(ExitCode.DONE)
    screen, until = Screen(), time.monotonic() + arguments.timeout
    while True:
        now = datetime.now(UTC)
        waits = job.waits_for(now)
        text = f"{headline(job)}{f' · {waits}' if waits else ''}"
        screen.show([text], text, now)
        if job.acted_on and reached(job):
            screen.close([f"{job.name}: {job.state}"])
            return int(ExitCode.DONE)
        if job.finished:
            screen.close()
            return failed(f"{job.name} has ended ({job.finished})")
        if time.monotonic() >= until:
            screen.close()
            return failed(
                f"{job.name} is {job.state} after {duration(arguments.timeout)}: it goes on all the same"
            )
        time.sleep(LOOK_SECONDS)
        try:
            job = find_job(cluster, job.name)
        except InputRefused:
            screen.close()
            return failed(f"{job.name} was deleted")
