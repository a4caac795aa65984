"""``rlp logs``: from Ray through the real API server's proxy, and from what the operator keeps."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout

import pytest

from rl_operator.names import JOB_LABEL, RAY_CLUSTER_LABEL, child_name, log_key, logs_name
from rl_platform.cli import driver_logs, logs
from rl_platform.cli.cluster import connect
from rl_platform.cli.jobs import find_job
from tests.cli.cluster_jobs import ClusterJobs, condition, ended, meanwhile, training
from tests.cli.ray_stand_in import RayStandIn

SECONDS = 60.0  # that the end may take on a busy machine
TOKEN = "the-jobs-own-token"
LINES = "".join(f"line {number}\n" for number in range(1, 21))
READ_LOGS = ("", "configmaps", ("get",))


@pytest.fixture
def ray(jobs: ClusterJobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayStandIn]:
    """Ray on the head pod of the job cartpole, which trains."""
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.2)
    jobs.submit()
    jobs.report(training())
    with RayStandIn(TOKEN).serving() as stand_in:
        monkeypatch.setattr(driver_logs, "DASHBOARD_PORT", stand_in.port)
        head(jobs, stand_in.address)
        yield stand_in


def uid(jobs: ClusterJobs) -> str:
    return str(jobs.job()["metadata"]["uid"])


def head(jobs: ClusterJobs, address: str) -> None:
    """A head pod as KubeRay makes it, and the job's token, as the operator does."""
    name = child_name("cartpole", uid(jobs))
    labels = {JOB_LABEL: "cartpole", "ray.io/node-type": "head", RAY_CLUSTER_LABEL: name}
    container = {"name": "ray-head", "image": "x"}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    pod = {"metadata": {"name": f"{name}-head", "labels": labels}, "spec": spec}
    pods = f"/api/v1/namespaces/{jobs.namespace}/pods"
    account = {"metadata": {"name": "default"}}
    jobs.create("serviceaccounts", account)
    jobs.create("pods", pod)
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    jobs.request("PATCH", f"{pods}/{name}-head/status", {"status": status})
    token(jobs)


def token(jobs: ClusterJobs) -> None:
    data = {"auth_token": base64.b64encode(TOKEN.encode()).decode()}
    jobs.create("secrets", {"metadata": {"name": child_name("cartpole", uid(jobs))}, "data": data})


def head_is_gone(jobs: ClusterJobs) -> None:
    name = child_name("cartpole", uid(jobs))
    path = f"/api/v1/namespaces/{jobs.namespace}/pods/{name}-head"
    jobs.request("DELETE", path, {"gracePeriodSeconds": 0})


def keep(jobs: ClusterJobs, logs_by_attempt: dict[int, str]) -> None:
    """What the operator does when attempts end."""
    name = logs_name("cartpole", uid(jobs))
    data = {log_key(attempt): text for attempt, text in logs_by_attempt.items()}
    jobs.create("configmaps", {"metadata": {"name": name}, "data": data})


def test_a_running_drivers_log_comes_from_ray(jobs: ClusterJobs, ray: RayStandIn) -> None:
    ray.logs[f"{uid(jobs)}-2"] = LINES
    ran = jobs.rlp("logs", "cartpole")
    assert (ran.code, ran.out, ran.err) == (0, LINES, "")
    assert jobs.rlp("logs", "cartpole", "--tail", "2").out == "line 19\nline 20\n"
    assert jobs.rlp("logs", "cartpole", "--tail", "0").out == ""
    assert "authorization" not in ray.seen[-1], "the API server keeps the user's own credentials"


def test_an_earlier_attempt_is_still_known_to_the_same_ray(jobs: ClusterJobs, ray: RayStandIn) -> None:
    ray.logs |= {f"{uid(jobs)}-1": "first\n", f"{uid(jobs)}-2": "second\n"}
    assert jobs.rlp("logs", "cartpole", "--attempt", "1").out == "first\n"
    assert jobs.rlp("logs", "cartpole").out == "second\n"
    ran = jobs.rlp("logs", "cartpole", "--attempt", "3")
    assert ran.code == 2
    assert "has had 2 attempts" in ran.err


def test_after_the_pods_are_gone_the_kept_end_is_shown(jobs: ClusterJobs, ray: RayStandIn) -> None:
    head_is_gone(jobs)
    keep(jobs, {1: "first\n", 2: LINES})
    ran = jobs.rlp("logs", "cartpole")
    assert (ran.code, ran.out) == (0, LINES)
    assert "there is no head pod" in ran.err
    assert jobs.rlp("logs", "cartpole", "--attempt", "1").out == "first\n"


def test_a_log_that_is_nowhere_says_where_it_was_looked_for(jobs: ClusterJobs, ray: RayStandIn) -> None:
    ran = jobs.rlp("logs", "cartpole")
    assert ran.code == 1
    assert "Ray on the head pod knows no attempt 2" in ran.err
    assert "not kept: none is" in ran.err
    keep(jobs, {1: "first\n"})
    head_is_gone(jobs)
    ran = jobs.rlp("logs", "cartpole")
    assert ran.code == 1
    assert "there are those of attempts 1" in ran.err


def test_a_job_that_has_not_begun_has_no_log(jobs: ClusterJobs) -> None:
    jobs.submit()
    ran = jobs.rlp("logs", "cartpole")
    assert ran.code == 2
    assert "has not begun" in ran.err


def test_without_the_right_to_the_token_what_is_kept_is_shown_and_why(
    jobs: ClusterJobs, ray: RayStandIn
) -> None:
    jobs.allow("author", ("rlplatform.io", "trainingjobs", ("get",)), READ_LOGS)
    keep(jobs, {2: "kept\n"})
    ran = jobs.rlp("logs", "cartpole", user="author")
    assert (ran.code, ran.out) == (0, "kept\n")
    assert "the job's token cannot be read: not allowed: user author may not get secrets" in ran.err


def test_without_the_right_to_the_proxy_too(jobs: ClusterJobs, ray: RayStandIn) -> None:
    read = ("get", "list")
    jobs.allow(
        "author",
        ("rlplatform.io", "trainingjobs", ("get",)),
        ("", "secrets", read),
        ("", "pods", read),
        READ_LOGS,
    )
    keep(jobs, {2: "kept\n"})
    ran = jobs.rlp("logs", "cartpole", user="author")
    assert (ran.code, ran.out) == (0, "kept\n")
    assert "may not get pods/proxy" in ran.err


def test_a_token_that_ray_refuses_is_not_taken_for_the_persons_own(
    jobs: ClusterJobs, ray: RayStandIn
) -> None:
    ray.token = "another"
    keep(jobs, {2: "kept\n"})
    ran = jobs.rlp("logs", "cartpole")
    assert (ran.code, ran.out) == (0, "kept\n")
    assert "Ray does not accept the job's token" in ran.err
    assert "log in again" not in ran.err
    assert TOKEN not in ran.out + ran.err


def test_a_head_that_does_not_listen_any_more_is_no_failure(
    jobs: ClusterJobs, ray: RayStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is going: the API server's own 503, not Ray's word."""
    monkeypatch.setattr(driver_logs, "DASHBOARD_PORT", 1)
    keep(jobs, {2: "kept\n"})
    ran = jobs.rlp("logs", "cartpole")
    assert (ran.code, ran.out) == (0, "kept\n")
    assert "connection refused" in ran.err


def test_a_head_of_another_job_with_the_same_name_is_not_asked(jobs: ClusterJobs, ray: RayStandIn) -> None:
    """It still stops while the next job of this name has a token already."""
    jobs.request("DELETE", jobs.path())
    jobs.submit()
    jobs.report(training())
    assert "the job has no cluster" in jobs.rlp("logs", "cartpole").err
    token(jobs)
    ran = jobs.rlp("logs", "cartpole")
    assert ran.code == 1
    assert "the head pod does not run" in ran.err
    assert ray.seen == []


def test_following_shows_every_line_once_through_attempts_until_the_end(
    jobs: ClusterJobs, ray: RayStandIn
) -> None:
    """The head goes away between two looks: what it had not told yet comes from the kept end."""
    ray.logs[f"{uid(jobs)}-2"] = "a\nb\n"

    def grows() -> None:
        ray.logs[f"{uid(jobs)}-2"] += "c\n"

    def fails_and_is_retried() -> None:
        ray.logs[f"{uid(jobs)}-2"] += "d\n"
        ray.logs[f"{uid(jobs)}-3"] = "third\n"
        jobs.report(training(attempt=3))

    def loses_its_head() -> None:
        keep(jobs, {2: "b\nc\nd\n", 3: "third\nlast words\n"})
        head_is_gone(jobs)
        jobs.report(ended("False", "Lost", attempt=3))

    with meanwhile(grows, fails_and_is_retried, loses_its_head, pause_seconds=1.5):
        ran = jobs.rlp("logs", "cartpole", "--follow")
    assert ran.code == 0, ran.err
    assert ran.out == "a\nb\nc\nd\nthird\nlast words\n"
    assert "attempt 3" in ran.err


def test_following_one_attempt_ends_with_it(jobs: ClusterJobs, ray: RayStandIn) -> None:
    ray.logs |= {f"{uid(jobs)}-1": LINES, f"{uid(jobs)}-2": "second\n"}
    ran = jobs.rlp("logs", "cartpole", "--follow", "--attempt", "1", "--tail", "1")
    assert (ran.code, ran.out) == (0, "line 20\n")


def test_following_ends_where_the_job_is_suspended_or_deleted(jobs: ClusterJobs, ray: RayStandIn) -> None:
    ray.logs[f"{uid(jobs)}-2"] = LINES
    suspended = {"phase": "Suspended", "conditions": [condition("Suspended", "True", "Asked")]}
    driver = {"submissionId": f"{uid(jobs)}-2", "state": "Ended"}
    with meanwhile(lambda: jobs.report(training() | suspended | {"driver": driver})):
        ran = jobs.rlp("logs", "cartpole", "--follow")
    assert (ran.code, ran.out) == (0, LINES)
    jobs.report(training())
    with meanwhile(lambda: jobs.request("DELETE", jobs.path())):
        ran = jobs.rlp("logs", "cartpole", "--follow")
    assert ran.code == 1
    assert "was deleted" in ran.err


def test_following_survives_a_restart_of_the_api_server(jobs: ClusterJobs, ray: RayStandIn) -> None:
    """The restart is this thread's: the server ends with the thread that has started it."""
    submission = f"{uid(jobs)}-2"
    ray.logs[submission] = "a\n"
    cluster = connect(str(jobs.kubeconfig()), None, jobs.namespace)
    following_logs = logs.Following(cluster, find_job(cluster, "cartpole"), None, None)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), ThreadPoolExecutor() as pool:
        following = pool.submit(following_logs.run)
        time.sleep(2)
        jobs.server.server.kill()
        ray.logs[submission] += "b\n"
        time.sleep(2)
        jobs.server.start_server()
        jobs.report(ended("True", "EnvStepsReached"))
        code = following.result(SECONDS)
    assert (code, out.getvalue()) == (0, "a\nb\n")
    assert "trying again" in err.getvalue()
