"""``rlp delete``: jobs with all that belongs to them on the cluster; what they saved elsewhere stays."""

from __future__ import annotations

import argparse
import sys
import time

from rl_platform.cli.amounts import duration
from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import ClusterError, Conflict, Forbidden, InputRefused, NotFound
from rl_platform.cli.errors import failed
from rl_platform.cli.job_progress import steps
from rl_platform.cli.jobs import cluster_of, find_job, jobs_path
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.child_names import child_name
from rl_platform.spec.driver_protocol import ExitCode

LOOK_SECONDS = 0.5


def delete(arguments: argparse.Namespace) -> int:
    """2 where one of the names is no job's: then nothing is deleted. 1 where it was not confirmed, or with
    --wait is not gone in time.
    """
    cluster = cluster_of(arguments)
    jobs = _all(cluster, arguments.names)
    if not (arguments.yes or _confirmed(jobs)):
        return failed("nothing is deleted")
    for job in jobs:
        _delete(cluster, job, wait=arguments.wait)
        if not arguments.wait:
            print(f"{job.name} is deleted; its pods stop in the background. {_what_stays(job)}")
    if not arguments.wait:
        return int(ExitCode.DONE)
    return max(_gone(cluster, job, arguments.timeout) for job in jobs)


def _all(cluster: Cluster, names: list[str]) -> list[SeenJob]:
    """Raises InputRefused with every name that is no job's."""
    jobs, wrong = [], []
    for name in dict.fromkeys(names):
        try:
            jobs.append(find_job(cluster, name))
        except InputRefused as error:
            wrong.append(str(error))
    if wrong:
        raise InputRefused("\n".join([*wrong, *(["nothing is deleted"] if jobs else [])]))
    return jobs


def _confirmed(jobs: list[SeenJob]) -> bool:
    """Asked on a terminal only: a script has said what it means."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for job in jobs:
        print(
            f"{job.name} in namespace {job.namespace}: {job.state}, {steps(job)}. {_what_stays(job)}",
            file=sys.stderr,
        )
    what = "it" if len(jobs) == 1 else f"these {len(jobs)} jobs"
    print(f"Delete {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _delete(cluster: Cluster, job: SeenJob, *, wait: bool) -> None:
    """In the foreground the job stays until all that it owns is gone: that is what --wait waits for."""
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground" if wait else "Background",
        "preconditions": {"uid": job.uid},
    }
    try:
        cluster.send("DELETE", jobs_path(job.namespace, job.name), body=options)
    except NotFound:
        return
    except Conflict as error:
        message = f"{job.name} was deleted and submitted anew meanwhile: the new job is left alone"
        raise ClusterError(message) from error


def _gone(cluster: Cluster, job: SeenJob, seconds: float) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not _is_there(cluster, job) and not _pods(cluster, job):
            print(f"{job.name} and all that belonged to it on the cluster is gone. {_what_stays(job)}")
            return int(ExitCode.DONE)
        time.sleep(LOOK_SECONDS)
    return failed(
        f"{job.name} is still being deleted after {duration(seconds)}: its pods have not stopped yet"
    )


def _is_there(cluster: Cluster, job: SeenJob) -> bool:
    try:
        return SeenJob(cluster.get(jobs_path(job.namespace, job.name))).uid == job.uid
    except NotFound:
        return False


def _pods(cluster: Cluster, job: SeenJob) -> bool:
    """Whether some still stop: those of a cluster that had ended before hold no deletion of the job up."""
    selector = (("labelSelector", f"ray.io/cluster={child_name(job.name, job.uid)}"),)
    try:
        return bool(cluster.items(f"/api/v1/namespaces/{job.namespace}/pods", selector)[0])
    except Forbidden:  # the job itself was deleted in the foreground, which is nearly as good
        return False


def _what_stays(job: SeenJob) -> str:
    place = job.text("spec", "checkpoint", "uri")
    registered = job.text("status", "model", "uri")
    stays = [
        *([f"checkpoints at {place}"] if place else []),
        *([f"the model {registered}"] if registered else []),
    ]
    if stays:
        return f"What stays: {' and '.join(stays)}."
    return "checkpoint.uri is not set: checkpoints inside its pods go with them."
