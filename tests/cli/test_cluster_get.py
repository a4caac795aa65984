"""``rlp get``: the table, one job in full, and documents for programs."""

from __future__ import annotations

import pytest
import yaml

from rl_platform.spec.manifest import parse_manifests
from tests.cli.cluster_jobs import CHECKPOINT, ClusterJobs, condition, ended, parsed, run, training


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[0] == name)


def test_a_table_has_a_row_per_job_in_units_for_people(jobs: ClusterJobs) -> None:
    jobs.submit("b-job")
    jobs.submit("a-job")
    jobs.report(training(), "a-job")
    ran = jobs.rlp("get")
    assert ran.code == 0, ran.err
    header, *rows = ran.out.splitlines()
    assert header.split() == ["NAME", "STATE", "STEPS", "RETURN", "CHECKPOINT", "ATTEMPT", "AGE"]
    assert [line.split()[0] for line in rows] == ["a-job", "b-job"]
    assert row(ran.out, "a-job")[1:6] == ["Training", "70.1k/140k", "210.2", "70,144", "2"]
    assert row(ran.out, "b-job")[1:6] == ["Unseen", "0/140k", "-", "-", "-"]


def test_wide_adds_what_is_trained_and_what_a_job_waits_for(jobs: ClusterJobs) -> None:
    jobs.submit("cartpole", "spec.rollouts.replicas=4")
    quota = condition("ClusterReady", "False", "QuotaExceeded", "exceeded quota: cpus")
    jobs.report(training() | {"phase": "Provisioning", "conditions": [quota], "rollouts": {"ready": 1}})
    out = jobs.rlp("get", "-o", "wide").out
    assert "CartPole-v1" in out
    assert "1/4" in out
    assert "QuotaExceeded: exceeded quota: cpus" in out


def test_all_namespaces_shows_where_each_is(jobs: ClusterJobs) -> None:
    jobs.submit()
    out = jobs.rlp("get", "--all-namespaces").out
    assert out.startswith("NAMESPACE")
    assert [jobs.namespace, "cartpole"] in [line.split()[:2] for line in out.splitlines()]
    assert jobs.rlp("get", "cartpole", "-A").code == 2


def test_no_jobs_at_all_is_no_failure(jobs: ClusterJobs) -> None:
    ran = jobs.rlp("get")
    assert (ran.code, ran.out) == (0, "")
    assert f"no jobs in namespace {jobs.namespace}" in ran.err
    assert parsed(jobs.rlp("get", "--json").out)["items"] == []


def test_one_job_in_full_tells_its_story(jobs: ClusterJobs) -> None:
    jobs.submit()
    jobs.report(training() | {"model": {"name": "cartpole", "version": "3", "uri": "models:/cartpole/3"}})
    jobs.event("DriverStarted", "attempt 2 runs on the head")
    out = jobs.rlp("get", "cartpole").out
    for part in (
        f"cartpole in namespace {jobs.namespace}: Training, attempt 2",
        "ppo on CartPole-v1, seed 1",
        "70,144 of 140,000 env steps (50 %)",
        "return 210.2",
        "12,346 steps/s",
        "1 min 15 s left",
        "2 (failures: 1 of 3 application, 0 of 20 infrastructure)",
        "cartpole-1a2b3c4d",
        CHECKPOINT,
        "models:/cartpole/3",
        "http://mlflow, experiment cartpole, run abc",
        "DriverStarted: attempt 2 runs on the head",
    ):
        assert part in out
    conditions = out[out.index("Conditions") : out.index("Events")].splitlines()
    assert [line.split()[:3] for line in conditions[1:4]] == [
        ["Succeeded", "Unknown", "Training"],
        ["ClusterReady", "True", "HeadReady"],
        ["Suspended", "False", "NotAsked"],
    ]


def test_a_failure_comes_with_its_traceback_and_nothing_that_moves_the_cursor(jobs: ClusterJobs) -> None:
    jobs.submit()
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1\n    boom\x1b[2J\nKeyError: 1'
    jobs.report(ended("False", "EnvironmentFault", "it said \x1b]0;title\x07", traceback=traceback))
    out = jobs.rlp("get", "cartpole").out
    assert "Failed" in out
    assert '    File "x.py", line 1\n      boom [2J\n  KeyError: 1' in out
    assert "\x1b" not in out
    assert "\x07" not in out


def test_a_job_that_no_operator_has_seen_says_so_and_one_of_another_controller_too(jobs: ClusterJobs) -> None:
    from datetime import UTC, datetime, timedelta

    from rl_platform.cli.seen_job import SeenJob

    jobs.submit()
    jobs.submit("other", "spec.runPolicy.managedBy=example.com/fleet")
    now = datetime.now(UTC)
    fresh = SeenJob(jobs.job())
    assert fresh.waits_for(now) == ""
    assert "operator has not seen it yet" in fresh.waits_for(now + timedelta(minutes=1))
    assert "example.com/fleet acts on it" in jobs.rlp("get", "other").out


def test_a_cluster_that_is_ready_is_not_yet_training(jobs: ClusterJobs) -> None:
    jobs.submit()
    starting = condition("Training", "False", "Starting", "Attempt 2 waits for its workers.")
    ready = condition("ClusterReady", "True", "Ready")
    jobs.report(training() | {"phase": "Provisioning", "conditions": [ready, starting]})
    assert "Starting: Attempt 2 waits for its workers." in jobs.rlp("get", "cartpole").out.splitlines()[1]


def test_yaml_is_a_manifest_again(jobs: ClusterJobs) -> None:
    jobs.submit("cartpole", "spec.environment.kwargs={text: '1e3', word: 'no'}")
    jobs.report(training())
    out = jobs.rlp("get", "cartpole", "-o", "yaml").out
    (job,) = parse_manifests(out)
    assert job.spec.environment.kwargs == {"text": "1e3", "word": "no"}
    assert job.spec.stop.env_steps == 140_000
    assert "managedFields" not in out
    assert yaml.safe_load(out)["status"]["attempt"] == 2


def test_json_is_the_object_whole(jobs: ClusterJobs) -> None:
    jobs.submit()
    jobs.report(training())
    expected = jobs.job()
    del expected["metadata"]["managedFields"]
    assert parsed(jobs.rlp("get", "cartpole", "--json").out) == expected
    assert parsed(jobs.rlp("get", "-o", "json").out)["items"] == [expected]


@pytest.mark.parametrize("command", ["get", "watch", "logs", "suspend", "resume", "delete"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cartpol", "did you mean cartpole?"),
        ("zebra", "there are cartpole"),
        ("../../secrets/x", "cannot be the name of a job"),
        ("Cartpole", "cannot be the name of a job"),
        ("cartpole\n", "cannot be the name of a job"),
        ("ä%2f", "cannot be the name of a job"),
    ],
)
def test_a_name_that_is_no_jobs_is_an_input_error_with_the_nearest(
    jobs: ClusterJobs, command: str, name: str, sentence: str
) -> None:
    jobs.submit()
    ran = jobs.rlp(command, name)
    assert ran.code == 2
    assert sentence in ran.err
    assert jobs.job()["metadata"]["name"] == "cartpole"


def test_a_namespace_with_odd_characters_never_reaches_the_server(jobs: ClusterJobs) -> None:
    ran = jobs.rlp("get", "-n", "a/b")
    assert ran.code == 2
    assert "'a/b' cannot be the name of a namespace" in ran.err


def test_a_job_of_another_namespace_is_found_there(jobs: ClusterJobs) -> None:
    jobs.submit("far-away")
    ran = run("get", "far-away", "-n", "default", "--kubeconfig", jobs.kubeconfig())
    assert ran.code == 2
    assert f"there is one in namespace {jobs.namespace}" in ran.err
