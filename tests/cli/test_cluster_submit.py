"""``rlp submit``: what it checks, what it owns, and what becomes of a job that exists."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.cli.cluster_jobs import ClusterJobs, manifest
from tests.cli.commands import CARTPOLE

TWO = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: one}
spec:
  environment: {id: CartPole-v1}
  algorithm: {ppo: {}}
  stop: {envSteps: 1000}
---
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: two}
spec:
  environment: {id: CartPole-v1}
  algorithm: {dqn: {learningStarts: 100}}
  stop: {envSteps: 1000}
"""


def test_a_new_job_is_there_with_the_servers_defaults_and_owns_only_what_was_written(
    jobs: ClusterJobs,
) -> None:
    ran = jobs.rlp("submit", CARTPOLE)
    assert ran.code == 0, ran.err
    assert f"`rlp watch cartpole-ppo -n {jobs.namespace}` shows how it goes" in ran.out
    job = jobs.job("cartpole-ppo")
    assert job["spec"]["stop"] == {"envSteps": 140_000}
    assert job["spec"]["runPolicy"]["backoffLimit"] == 3
    (owner,) = job["metadata"]["managedFields"]
    assert (owner["manager"], owner["operation"]) == ("rlp", "Apply")
    assert "f:runPolicy" not in owner["fieldsV1"]["f:spec"], "defaults belong to nobody"
    assert "f:stop" in owner["fieldsV1"]["f:spec"]


def test_the_same_again_changes_nothing_and_says_so(jobs: ClusterJobs) -> None:
    jobs.submit()
    before = jobs.job()
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole")
    assert ran.code == 0
    assert "nothing changed" in ran.out
    assert jobs.job() == before


def test_what_may_change_is_changed_and_shown(jobs: ClusterJobs) -> None:
    jobs.submit()
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole", "--set=spec.stop.envSteps=200000")
    assert ran.code == 0, ran.err
    assert "spec.stop.envSteps: 140000 → 200000" in ran.out
    assert len(ran.out.splitlines()) == 2
    assert jobs.job()["spec"]["stop"]["envSteps"] == 200_000


def test_what_may_not_change_is_refused_with_the_field_and_the_ways_on(jobs: ClusterJobs) -> None:
    jobs.submit()
    before = jobs.job()
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole", "--set=spec.seed=9")
    assert ran.code == 2
    assert "spec.seed" in ran.err
    assert "cannot be changed" in ran.err
    assert "rlp delete cartpole" in ran.err
    assert "runPolicy.suspend" in ran.err, "what can change is named"
    assert jobs.job() == before


def test_labels_count_as_a_change_too(jobs: ClusterJobs) -> None:
    jobs.submit()
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole", "--set=metadata.labels.team=blue")
    assert ran.code == 0, ran.err
    assert 'metadata.labels.team: (absent) → "blue"' in ran.out


def test_a_field_of_somebody_else_is_left_alone_unless_forced(jobs: ClusterJobs) -> None:
    jobs.submit()
    assert jobs.rlp("suspend", "cartpole").code == 0
    again = (CARTPOLE, "--set=metadata.name=cartpole")
    assert "nothing changed" in jobs.rlp("submit", *again).out
    assert jobs.job()["spec"]["runPolicy"]["suspend"] is True, "submitting again is no resuming"

    refused = jobs.rlp("submit", *again, "--set=spec.runPolicy.suspend=false")
    assert refused.code == 1
    assert "spec.runPolicy.suspend" in refused.err
    assert "rlp-suspend" in refused.err
    assert "--force" in refused.err

    forced = jobs.rlp("submit", *again, "--set=spec.runPolicy.suspend=false", "--force")
    assert forced.code == 0, forced.err
    assert jobs.job()["spec"]["runPolicy"]["suspend"] is False


def test_every_problem_of_every_file_is_said_and_nothing_is_sent(jobs: ClusterJobs, tmp_path: Path) -> None:
    faulty = manifest(tmp_path, TWO.replace("envSteps: 1000", "envSteps: many"))
    ran = jobs.rlp("submit", CARTPOLE, faulty, tmp_path / "nowhere.yaml")
    assert ran.code == 2
    assert "job.yaml:7: spec.stop.envSteps" in ran.err
    assert "job.yaml:15: spec.stop.envSteps" in ran.err
    assert "nowhere.yaml" in ran.err
    assert "cartpole-ppo" not in jobs.rlp("get").out


def test_a_file_with_several_jobs_submits_each(jobs: ClusterJobs, tmp_path: Path) -> None:
    path = manifest(tmp_path, TWO)
    ran = jobs.rlp("submit", path)
    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines()] == ["one", "two"]
    assert jobs.rlp("submit", path, "--watch").code == 2, "only one can be watched"


def test_a_job_that_is_given_twice_or_elsewhere_is_refused_before_anything_is_sent(
    jobs: ClusterJobs, tmp_path: Path
) -> None:
    twice = jobs.rlp("submit", CARTPOLE, CARTPOLE)
    assert twice.code == 2
    assert "given twice" in twice.err
    elsewhere = manifest(tmp_path, TWO.replace("name: two", "name: two, namespace: other"))
    ran = jobs.rlp("submit", elsewhere)
    assert ran.code == 2
    assert "two: metadata.namespace is other" in ran.err
    assert jobs.rlp("get").out == ""


def test_a_namespace_that_does_not_exist_is_named(jobs: ClusterJobs, tmp_path: Path) -> None:
    path = manifest(tmp_path, TWO.replace("name: one}", "name: one, namespace: nowhere}"))
    ran = ClusterJobs(jobs.server, "nowhere", tmp_path).rlp("submit", path, "--set=metadata.name=x")
    assert ran.code == 2, "two documents and --set do not go together"
    ran = ClusterJobs(jobs.server, "nowhere", tmp_path).rlp("submit", CARTPOLE)
    assert ran.code == 2
    assert "nowhere" in ran.err


def test_a_job_that_is_being_deleted_is_not_changed(jobs: ClusterJobs) -> None:
    jobs.submit()
    jobs.request("DELETE", jobs.path(), {"propagationPolicy": "Foreground"})
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole")
    assert ran.code == 1
    assert "being deleted" in ran.err


def test_a_finished_job_is_not_trained_again_by_submitting_it(jobs: ClusterJobs) -> None:
    from tests.cli.cluster_jobs import ended

    jobs.submit()
    jobs.report(ended("True", "EnvStepsReached"))
    ran = jobs.rlp("submit", CARTPOLE, "--set=metadata.name=cartpole")
    assert ran.code == 0
    assert "(Succeeded)" in ran.out
    assert "rlp delete cartpole" in ran.out


def test_two_who_submit_the_same_at_once_make_one_job(jobs: ClusterJobs) -> None:
    """In threads: the API server is what must keep them apart."""
    from rl_platform.cli.cluster import connect
    from rl_platform.cli.submit import as_given
    from rl_platform.spec.manifest import load_manifest

    body = as_given(load_manifest(CARTPOLE), jobs.namespace)
    codes: list[int] = []

    def send() -> None:
        cluster = connect(str(jobs.kubeconfig()), None, jobs.namespace)
        query = (("fieldManager", "rlp"),)
        path, kind = jobs.path("cartpole-ppo"), "application/apply-patch+yaml"
        codes.append(cluster.send("PATCH", path, query=query, body=body, content_type=kind).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 200, 200, 201]


@pytest.mark.parametrize(
    "setting", ["spec.runtime.image=registry/x:1", "spec.environment.kwargs={a: {b: 1}}"]
)
def test_what_was_given_reaches_the_server_as_it_was(jobs: ClusterJobs, setting: str) -> None:
    jobs.submit("cartpole", setting)
    spec = jobs.job()["spec"]
    assert spec["runtime"].get("image") == "registry/x:1" or spec["environment"]["kwargs"] == {"a": {"b": 1}}
