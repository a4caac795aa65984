"""TrainingJobs of a cluster: where they are, one by its name, all of a namespace."""

from __future__ import annotations

import argparse
import difflib
import re

from rl_platform.cli.api_requests import Cluster, Query
from rl_platform.cli.cluster import connect
from rl_platform.cli.cluster_errors import ClusterError, InputRefused, NotFound
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec import patterns

GROUP_PATH = "/apis/rlplatform.io/v1alpha1"
FIELD_MANAGER = "rlp"
MANAGED: Query = (("fieldManager", FIELD_MANAGER),)


def cluster_of(arguments: argparse.Namespace) -> Cluster:
    """The cluster that a command's options name. Raises ClusterError."""
    if arguments.namespace is not None:
        _check(arguments.namespace, "namespace")
    return connect(arguments.kubeconfig, arguments.context, arguments.namespace)


def jobs_path(namespace: str | None, name: str | None = None) -> str:
    """Of a collection (all namespaces where none is given), or of a job. Names have been checked."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{GROUP_PATH}{where}/trainingjobs{f'/{name}' if name else ''}"


def find_job(cluster: Cluster, name: str) -> SeenJob:
    """The job of this name. Raises InputRefused, with the nearest names, where there is none."""
    _check(name, "job")
    try:
        return SeenJob(cluster.get(jobs_path(cluster.namespace, name)))
    except NotFound:
        raise InputRefused(
            f"there is no job {name} in namespace {cluster.namespace}: {_instead(cluster, name)}"
        ) from None


def all_jobs(cluster: Cluster, namespace: str | None) -> list[SeenJob]:
    """By namespace and name."""
    found, _ = cluster.items(jobs_path(namespace))
    return sorted(map(SeenJob, found), key=lambda job: (job.namespace, job.name))


def _check(name: str, what: str) -> None:
    """Refuse what no API server has, before it becomes part of a path."""
    if len(name) > 253 or not re.fullmatch(patterns.OBJECT_NAME, name) or name.endswith("\n"):
        raise InputRefused(
            f"{name!r} cannot be the name of a {what}: {patterns.SENTENCES[patterns.OBJECT_NAME]}"
        )


def _instead(cluster: Cluster, name: str) -> str:
    """Where it may be, or what may have been meant. What cannot be listed is not known."""
    try:
        elsewhere, _ = cluster.items(jobs_path(None), (("fieldSelector", f"metadata.name={name}"),))
    except ClusterError:
        elsewhere = []
    if elsewhere:
        return f"there is one in namespace {' and '.join(SeenJob(each).namespace for each in elsewhere[:3])}"
    try:
        names = [job.name for job in all_jobs(cluster, cluster.namespace)]
    except ClusterError:
        return "check the name"
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]}?"
    if not names:
        return "it has no jobs at all; is --namespace right?"
    more = ", …" if len(names) > 8 else ""
    return f"there are {', '.join(names[:8])}{more}"
