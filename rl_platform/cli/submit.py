"""``rlp submit``: manifests to the cluster, checked here first; jobs that exist change where they may."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import Conflict, InputRefused, Invalid, NotFound
from rl_platform.cli.errors import failed, say
from rl_platform.cli.jobs import MANAGED, cluster_of, jobs_path
from rl_platform.cli.seen_job import SeenJob
from rl_platform.cli.submit_answers import again, causes, outcome, owners
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.manifest import ManifestError, load_manifest, load_manifests
from rl_platform.spec.training_job import TrainingJob

APPLY = "application/apply-patch+yaml"  # of which JSON is a part
GIVEN_METADATA = {"name", "namespace", "labels", "annotations"}


def submit(arguments: argparse.Namespace) -> int:
    """2 where a manifest is refused here or by the API server, 1 for all else; with --watch, as watch."""
    jobs = _manifests(arguments.manifests, arguments.overrides)
    if jobs is None:
        return int(ExitCode.BAD_CONFIGURATION)
    if arguments.watch and len(jobs) != 1:
        raise InputRefused(f"--watch needs one job, and these manifests hold {len(jobs)}")
    cluster = cluster_of(arguments)
    places = _places(jobs, arguments.namespace, cluster.namespace)
    codes = [_submitted(cluster, job, namespace, arguments.force) for job, namespace in places]
    if not arguments.watch or any(codes):
        return max(codes)
    from rl_platform.cli.watch import watch_job

    cluster.namespace = places[0][1]
    return watch_job(cluster, jobs[0].name)


def _manifests(paths: Sequence[str], overrides: Sequence[str]) -> list[TrainingJob] | None:
    """Every job of every file; None where any has a problem, and all of them have been said."""
    jobs: list[TrainingJob] = []
    wrong = False
    for path in paths:
        try:
            jobs += [load_manifest(path, overrides)] if overrides else load_manifests(path)
        except ManifestError as error:
            wrong = True
            say(str(error))
    return None if wrong else jobs


def _places(jobs: Sequence[TrainingJob], asked: str | None, default: str) -> list[tuple[TrainingJob, str]]:
    """Each job with its namespace. Raises InputRefused for a contradiction, and for a job given twice."""
    places = [(job, job.metadata.namespace or default) for job in jobs]
    for index, (job, namespace) in enumerate(places):
        if asked is not None and namespace != asked:
            raise InputRefused(
                f"{job.name}: metadata.namespace is {namespace}, and --namespace is {asked}: leave one out"
            )
        if any((job.name, namespace) == (other.name, place) for other, place in places[:index]):
            raise InputRefused(f"{job.name} is given twice: every job needs a name of its own")
    return places


def as_given(job: TrainingJob, namespace: str) -> dict[str, Any]:
    """What the manifest says and no default, so that only this is owned by whoever submits."""
    return {
        "apiVersion": job.api_version,
        "kind": job.kind,
        "metadata": {
            **job.metadata.model_dump(mode="json", include=GIVEN_METADATA, exclude_defaults=True),
            "namespace": namespace,
        },
        "spec": job.spec.model_dump(mode="json", exclude_unset=True, exclude_none=True),
    }


def _submitted(cluster: Cluster, job: TrainingJob, namespace: str, force: bool) -> int:
    """Apply one job and say what came of it."""
    path = jobs_path(namespace, job.name)
    before = _present(cluster, path)
    if before and before.deleting:
        return failed(f"{job.name} is being deleted: submit it again when it is gone")
    try:
        answer = cluster.send(
            "PATCH",
            path,
            query=(*MANAGED, ("fieldValidation", "Strict"), ("force", str(force).lower())),
            body=as_given(job, namespace),
            content_type=APPLY,
        )
    except Conflict as error:
        return failed(f"{job.name}: {owners(error)}")
    except Invalid as error:
        code = failed(f"the API server refuses {job.name}:{causes(error)}", ExitCode.BAD_CONFIGURATION)
        if before:
            say(again(cluster, job.name, namespace))
        return code
    except NotFound as error:
        return failed(f"{job.name}: {error}", ExitCode.BAD_CONFIGURATION)
    print(outcome(cluster, before, SeenJob(answer.document)))
    return int(ExitCode.DONE)


def _present(cluster: Cluster, path: str) -> SeenJob | None:
    try:
        return SeenJob(cluster.get(path))
    except NotFound:
        return None
