"""``rlp suspend``, ``resume`` and ``delete``: what is asked of the API server, and what is waited for."""

from __future__ import annotations

import io
import sys

import pytest

from rl_operator.names import child_name
from rl_platform.cli import suspend as suspending
from tests.cli.cluster_jobs import ClusterJobs, condition, ended, meanwhile, training

SUSPENDED = {"phase": "Suspended", "conditions": [condition("Suspended", "True", "Asked")]}


@pytest.fixture
def trains(jobs: ClusterJobs, monkeypatch: pytest.MonkeyPatch) -> ClusterJobs:
    monkeypatch.setattr(suspending, "LOOK_SECONDS", 0.1)
    jobs.submit("cartpole", "spec.checkpoint.uri=s3://bucket/cartpole")
    jobs.report(training())
    return jobs


def suspend_of(jobs: ClusterJobs) -> bool:
    return bool(jobs.job()["spec"]["runPolicy"]["suspend"])


def test_suspending_and_resuming_change_one_field_and_say_what_will_happen(trains: ClusterJobs) -> None:
    before = trains.job()["spec"]
    ran = trains.rlp("suspend", "cartpole")
    assert ran.code == 0, ran.err
    assert "saves a checkpoint, stops, and gives its cluster back" in ran.out
    assert trains.job()["spec"] == before | {"runPolicy": before["runPolicy"] | {"suspend": True}}
    again = trains.rlp("suspend", "cartpole")
    assert (again.code, "already" in again.out) == (0, True)
    ran = trains.rlp("resume", "cartpole")
    assert ran.code == 0
    assert "its checkpoint at 70,144 env steps" in ran.out
    assert trains.job()["spec"] == before
    assert "nothing changed" in trains.rlp("resume", "cartpole").out


def test_waiting_ends_when_the_operator_has_acted_on_this_very_wish(trains: ClusterJobs) -> None:
    """A status that is older than the wish says nothing about it."""
    trains.report(training() | SUSPENDED)
    steps = (
        lambda: trains.report(training() | {"phase": "Suspending", "conditions": []}),
        lambda: trains.report(training(generation=2) | SUSPENDED),
    )
    with meanwhile(*steps):
        ran = trains.rlp("suspend", "cartpole", "--wait")
    assert ran.code == 0, ran.err
    assert "Suspending" in ran.out, "it was not content with what was there before"
    assert ran.out.rstrip().endswith("cartpole: Suspended")
    with meanwhile(lambda: trains.report(training(attempt=3, generation=3))):
        ran = trains.rlp("resume", "cartpole", "--wait")
    assert ran.code == 0, ran.err
    assert ran.out.rstrip().endswith("cartpole: Training")


def test_waiting_has_an_end(trains: ClusterJobs) -> None:
    ran = trains.rlp("suspend", "cartpole", "--wait", "--timeout", "0.5")
    assert ran.code == 1
    assert "is Training after" in ran.err
    assert suspend_of(trains), "what was asked for stays asked for"


def test_a_job_that_ends_instead_is_no_suspended_one(trains: ClusterJobs) -> None:
    with meanwhile(lambda: trains.report(ended("True", "EnvStepsReached", observedGeneration=2))):
        ran = trains.rlp("suspend", "cartpole", "--wait")
    assert ran.code == 1
    assert "has ended (Succeeded)" in ran.err
    ran = trains.rlp("resume", "cartpole")
    assert ran.code == 1
    assert "nothing to resume" in ran.err


def test_a_short_job_that_ended_well_has_been_resumed(trains: ClusterJobs) -> None:
    trains.rlp("suspend", "cartpole")
    with meanwhile(lambda: trains.report(ended("True", "EnvStepsReached", observedGeneration=3))):
        assert trains.rlp("resume", "cartpole", "--wait").code == 0


def test_deleting_says_what_stays(trains: ClusterJobs) -> None:
    trains.submit("other")
    ran = trains.rlp("delete", "cartpole", "other")
    assert ran.code == 0, ran.err
    first, second = ran.out.splitlines()
    assert "What stays: checkpoints at s3://bucket/cartpole" in first
    assert "checkpoints inside its pods go with them" in second
    assert trains.rlp("get").out == ""


def test_one_wrong_name_deletes_nothing(trains: ClusterJobs) -> None:
    ran = trains.rlp("delete", "cartpole", "cartpol", "zebra")
    assert ran.code == 2
    assert ran.err.count("there is no job") == 2
    assert "nothing is deleted" in ran.err
    assert trains.job()


def test_waiting_takes_until_what_the_job_owns_is_gone(trains: ClusterJobs) -> None:
    """The garbage collector, which does not run here, takes the finalizer away when all children are gone."""

    def children_are_gone() -> None:
        assert trains.job()["metadata"]["finalizers"] == ["foregroundDeletion"]
        trains.request("PATCH", trains.path(), {"metadata": {"finalizers": None}})

    with meanwhile(children_are_gone, pause_seconds=3):
        ran = trains.rlp("delete", "cartpole", "--wait")
    assert ran.code == 0, ran.err
    assert "all that belonged to it on the cluster is gone" in ran.out


def test_waiting_takes_in_pods_that_had_lost_their_cluster_before(trains: ClusterJobs) -> None:
    """As after a job that has ended: its cluster is gone, a pod still stops."""
    uid = trains.job()["metadata"]["uid"]
    trains.create("serviceaccounts", {"metadata": {"name": "default"}})
    labels = {"ray.io/cluster": child_name("cartpole", uid)}
    spec = {"containers": [{"name": "ray", "image": "x"}], "automountServiceAccountToken": False}
    trains.create("pods", {"metadata": {"name": "head", "labels": labels}, "spec": spec})
    trains.create("pods", {"metadata": {"name": "unrelated"}, "spec": spec})
    pod = f"/api/v1/namespaces/{trains.namespace}/pods/head"
    steps = (
        lambda: trains.request("PATCH", trains.path(), {"metadata": {"finalizers": None}}),
        lambda: trains.request("DELETE", pod, {"gracePeriodSeconds": 0}),
    )
    with meanwhile(*steps, pause_seconds=3):
        ran = trains.rlp("delete", "cartpole", "--wait")
        assert ran.code == 0, ran.err
        assert trains.server.request("GET", pod)[0] == 404


def test_waiting_for_a_deletion_has_an_end(trains: ClusterJobs) -> None:
    ran = trains.rlp("delete", "cartpole", "--wait", "--timeout", "1")
    assert ran.code == 1
    assert "still being deleted" in ran.err
    assert "Deleting" in trains.rlp("get").out


@pytest.mark.parametrize(("answer", "gone"), [("y\n", True), ("n\n", False), ("", False), ("\n", False)])
def test_on_a_terminal_it_asks_first(
    trains: ClusterJobs, monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    from rl_platform.cli.main import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", asked)
        code = main(
            ["delete", "cartpole", "-n", trains.namespace, "--kubeconfig", str(trains.server.kubeconfig)]
        )
    assert "Training, 70,144 of 140,000 env steps" in asked.getvalue()
    assert "Delete it? [y/N]" in asked.getvalue()
    assert code == (0 if gone else 1)
    assert (trains.rlp("get", "cartpole").code == 2) is gone


def test_a_job_made_anew_between_looking_and_deleting_is_left_alone(trains: ClusterJobs) -> None:
    from rl_platform.cli.cluster import connect
    from rl_platform.cli.cluster_errors import ClusterError
    from rl_platform.cli.delete import _delete
    from rl_platform.cli.jobs import find_job

    cluster = connect(str(trains.server.kubeconfig), None, trains.namespace)
    seen = find_job(cluster, "cartpole")
    trains.request("DELETE", trains.path())
    trains.submit()
    with pytest.raises(ClusterError, match="submitted anew"):
        _delete(cluster, seen, wait=False)
    assert trains.job()
