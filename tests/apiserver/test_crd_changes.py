"""What a real API server lets pass once a job exists: what is mutable, and scaling; nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.training_jobs import TrainingJobs, job_of
from tests.spec.change_cases import (
    ACCEPTED,
    REFUSED,
    SPEC,
    WHO_SAMPLES_CHANGES,
    WHO_SAMPLES_STAYS,
    Change,
    changed,
)
from tests.spec.rule_case import Spec, spec_with

CHANGES = [(path, change) for path, changes in REFUSED.items() for change in changes]
NAME = "a-job"


@pytest.fixture(scope="module")
def jobs(api_server: ControlPlane) -> TrainingJobs:
    TrainingJobs.install(api_server)
    namespace = f"test-{uuid4().hex[:12]}"
    api_server.create_namespace(namespace)
    jobs = TrainingJobs(api_server, namespace)
    made = jobs.create(job_of(NAME, SPEC))
    assert made.accepted, made.message
    return jobs


@pytest.mark.parametrize(("path", "change"), CHANGES, ids=str)
def test_what_is_immutable_stays(jobs: TrainingJobs, path: str, change: Change) -> None:
    answer = jobs.replace(job_of(NAME, changed(change)), dry_run=True)
    assert answer.code == 422, answer.document.get("spec")
    assert f"spec.{path}" in answer.paths
    assert "cannot be changed; make another TrainingJob" in answer.message


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_what_is_mutable_changes(jobs: TrainingJobs, change: Change) -> None:
    answer = jobs.replace(job_of(NAME, changed(change)), dry_run=True)
    assert answer.accepted, answer.message


@pytest.mark.parametrize(("before", "after"), WHO_SAMPLES_CHANGES + WHO_SAMPLES_STAYS, ids=str)
def test_how_many_pods_sample_may_change_but_not_whether_any_do(
    jobs: TrainingJobs, before: Spec, after: Spec
) -> None:
    name = f"sampled-{uuid4().hex[:8]}"
    assert jobs.create(job_of(name, spec_with({"rollouts": before}))).accepted
    answer = jobs.replace(job_of(name, spec_with({"rollouts": after})))
    if (before, after) in WHO_SAMPLES_STAYS:
        assert answer.accepted, answer.message
        return
    old, new = before.get("replicas", 0), after.get("replicas", 0)
    assert (answer.code, answer.paths) == (422, ["spec.rollouts.replicas"])
    assert f"cannot go from {old} to {new}: with 0 the driver samples" in answer.message
    assert f"{'1 or more' if old else '0'}, or make another TrainingJob" in answer.message


@pytest.mark.parametrize(("before", "wanted"), [(0, 3), (3, 0)])
def test_scale_cannot_change_who_samples(jobs: TrainingJobs, before: int, wanted: int) -> None:
    name = f"scaled-{uuid4().hex[:8]}"
    assert jobs.create(job_of(name, spec_with({"rollouts": {"replicas": before}}))).accepted
    answer = jobs.merge(name, {"spec": {"replicas": wanted}}, "/scale")
    assert answer.code == 422
    assert f"cannot go from {before} to {wanted}: with 0 the driver samples" in answer.message
    same = jobs.merge(name, {"spec": {"replicas": before}}, "/scale")
    assert same.accepted, same.message


def test_the_same_manifest_again_changes_nothing(jobs: TrainingJobs) -> None:
    answer = jobs.replace(job_of(NAME, SPEC))
    assert answer.accepted, answer.message
    assert answer.document["metadata"]["generation"] == 1


def test_an_optional_field_that_was_never_there_cannot_come(jobs: TrainingJobs) -> None:
    jobs.create(job_of("plain", spec_with({})))
    answer = jobs.replace(job_of("plain", spec_with({"runPolicy": {"managedBy": "me"}})), dry_run=True)
    assert (answer.code, answer.paths) == (422, ["spec.runPolicy.managedBy"])
    answer = jobs.replace(job_of("plain", spec_with({"runPolicy": {"suspend": True}})))
    assert answer.accepted, answer.message


def _scaled(jobs: TrainingJobs, replicas: Iterator[int]) -> Iterator[tuple[int, int, int]]:
    for wanted in replicas:
        answer = jobs.merge(NAME, {"spec": {"replicas": wanted}}, "/scale")
        job = jobs.send("GET", f"{jobs.root}/{NAME}").document
        yield wanted, answer.code, job["spec"]["rollouts"]["replicas"]


def test_scale_reads_and_writes_the_pods_of_rollout_workers(jobs: TrainingJobs) -> None:
    rollouts = {"replicas": 2, "ready": 1, "selector": "rlplatform.io/job=a-job"}
    status = jobs.merge(NAME, {"status": {"rollouts": rollouts}}, "/status")
    assert status.accepted, status.message
    scale = jobs.send("GET", f"{jobs.root}/{NAME}/scale").document
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"] == {"replicas": 2, "selector": "rlplatform.io/job=a-job"}
    assert list(_scaled(jobs, iter([4, 5, 0, 2]))) == [(4, 200, 4), (5, 200, 5), (0, 422, 5), (2, 200, 2)]


def test_scale_is_refused_with_the_rule_that_it_would_break(jobs: TrainingJobs) -> None:
    answer = jobs.merge(NAME, {"spec": {"replicas": 9000}}, "/scale")
    assert answer.code == 422
    assert "environments, which take one each" in answer.message


def test_every_pair_of_mutable_changes_can_be_undone(jobs: TrainingJobs) -> None:
    for one, other in itertools.pairwise(ACCEPTED[:13]):
        for change in (one, other):
            answer = jobs.replace(job_of(NAME, changed(change)))
            assert answer.accepted, (change, answer.message)
