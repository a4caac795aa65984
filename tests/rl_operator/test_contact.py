"""One look at a driver: a real one behind a server that speaks the Jobs API, and answers that are none."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rl_operator import jobs_api
from rl_operator.contact import RAY_SECONDS, contact, unfulfilled
from rl_operator.driver_contact import DriverOrder, DriverSighting, Head, JobState
from rl_operator.driver_http import read_progress
from rl_operator.names import DASHBOARD_PORT
from rl_operator.reach import Direct, ThroughApiServer
from rl_operator.runtime.transport import ConnectionLost, Request, Response
from rl_platform.spec.conditions import FailureReason
from rl_platform.spec.driver_protocol import (
    ATTEMPT_ENV,
    JOB_FILE_ENV,
    OUTPUT_ENV,
    PORT_ENV,
    TOKEN_FILE_ENV,
    Desired,
    ExitCode,
    FailureProgress,
    Progress,
    ProgressState,
)
from rl_platform.spec.running import StopSpec
from tests.driver.driver_process import JOB, free_port
from tests.rl_operator.ray_head import TOKEN, Here, RayHead, order_for


@dataclass
class Operator:
    """Looks again and again, as the pollers do, at one order."""

    reach: Here
    sighting: DriverSighting | None = None
    now: float = 1000.0
    looked_at: float = 0.0
    pause: float = 1.0

    def look(self, order: DriverOrder) -> DriverSighting:
        self.now += 1.0
        self.looked_at += self.pause
        self.sighting = contact(order, self.sighting, self.reach, self.now, self.looked_at)
        assert (self.sighting.at, self.sighting.looked_at) == (self.now, self.looked_at)
        return self.sighting

    def look_until(self, order: DriverOrder, holds: Callable[[DriverSighting], object]) -> DriverSighting:
        until = time.monotonic() + 60
        while not holds(seen := self.look(order)):
            assert time.monotonic() < until, seen
            time.sleep(0.05)
        return seen


@pytest.fixture
def ray(tmp_path: Path) -> Iterator[RayHead]:
    head = RayHead(tmp_path)
    yield head
    head.close()


@pytest.fixture
def operator(ray: RayHead) -> Operator:
    return Operator(Here({"head": ray.port}))


def driver_order(folder: Path, reach: Here, **changes: object) -> DriverOrder:
    (folder / "job.yaml").write_text(JOB)
    (folder / "token").write_text(TOKEN)
    reach.driver_port = free_port()
    env = {
        JOB_FILE_ENV: str(folder / "job.yaml"),
        TOKEN_FILE_ENV: str(folder / "token"),
        OUTPUT_ENV: str(folder / "run"),
        PORT_ENV: str(reach.driver_port),
        ATTEMPT_ENV: "4",
    }
    entrypoint = f"exec {sys.executable} -m rl_platform.driver"
    return order_for(4, submit=True, entrypoint=entrypoint, env=tuple(env.items()), **changes)


def test_a_driver_is_started_told_what_changed_drained_heard_and_let_go(
    operator: Operator, ray: RayHead, tmp_path: Path
) -> None:
    order = driver_order(tmp_path, operator.reach)
    seen = operator.look(order)
    assert (seen.found, seen.state) == (True, JobState.RUNNING)
    seen = operator.look_until(order, lambda seen: seen.progress and seen.progress.env_steps)
    assert seen.progress is not None
    assert seen.progress.attempt == 4
    assert not unfulfilled(order, seen)

    order = replace(order, desired=Desired(generation=7, stop=StopSpec(env_steps=10**9)))
    assert unfulfilled(order, seen)
    seen = operator.look_until(order, lambda seen: not unfulfilled(order, seen))
    assert seen.progress is not None
    assert seen.progress.desired_generation == 7

    order = replace(order, drain=True, submit=False)
    seen = operator.look_until(order, lambda it: it.progress and it.progress.state is ProgressState.DRAINED)
    assert seen.state is JobState.RUNNING  # it lingers: nobody has noted its end
    assert seen.progress is not None
    assert seen.progress.checkpoint is not None

    order = replace(order, acknowledge=True)
    seen = operator.look_until(order, lambda seen: seen.state and seen.state.ended)
    assert (seen.state, seen.exit_code) == (JobState.FAILED, ExitCode.DRAINED)
    assert seen.acknowledged
    assert seen.progress.state is ProgressState.DRAINED
    assert "Drained after" in seen.log_tail or "Drained: Drained" in seen.log_tail
    assert ray.calls.count("POST /api/jobs/") == 1


def test_a_driver_that_speaks_for_itself_is_asked_alone_and_ray_now_and_then(
    operator: Operator, ray: RayHead, tmp_path: Path
) -> None:
    order = driver_order(tmp_path, operator.reach)
    operator.look_until(order, lambda seen: seen.progress and seen.progress.env_steps)
    operator.looked_at += RAY_SECONDS
    operator.look(order)
    asked = len(ray.calls)
    seen = operator.look(order)
    assert ray.calls[asked:] == []
    assert seen.progress is not None
    later = operator.look_until(order, lambda it: it.progress.env_steps > seen.progress.env_steps)
    assert later.state is JobState.RUNNING
    operator.looked_at += RAY_SECONDS
    operator.look(order)
    assert ray.calls[asked:] == ["GET /api/jobs/u-4"]
    stopped = operator.look(replace(order, submit=False, stop=True))
    assert ray.calls[asked + 1 :] == ["GET /api/jobs/u-4", "POST /api/jobs/u-4/stop"]
    assert stopped.state is JobState.RUNNING
    operator.pause = (
        0.0  # so that it is not time that makes Ray be asked, but that the driver answers no more
    )
    stopped = operator.look_until(order, lambda it: it.state.ended)
    assert stopped.state is JobState.STOPPED


def test_a_lost_answer_to_a_submission_starts_no_second_driver(operator: Operator, ray: RayHead) -> None:
    order = order_for(submit=True, entrypoint="sleep 60")
    ray.submit("u-1", "sleep 60", {})  # it had arrived
    assert operator.look(order).found
    ray.jobs.clear()
    assert operator.look(order).found  # asked for, so submitted again
    assert operator.look(order).found
    assert ray.calls.count("POST /api/jobs/") == 1


def test_what_is_not_ordered_is_not_submitted(operator: Operator, ray: RayHead) -> None:
    seen = operator.look(order_for())
    assert (seen.found, seen.state, seen.unreachable_since) == (False, None, None)
    assert not any(call.startswith("POST") for call in ray.calls)


@pytest.mark.parametrize(
    ("script", "state", "code"),
    [("exit 0", JobState.SUCCEEDED, 0), ("exit 2", JobState.FAILED, 2), ("kill -9 $$", JobState.FAILED, -9)],
)
def test_how_a_driver_ended(
    operator: Operator, ray: RayHead, script: str, state: JobState, code: int
) -> None:
    order = order_for(submit=True, entrypoint=f"echo last words; {script}")
    seen = operator.look_until(order, lambda seen: seen.state and seen.state.ended)
    assert (seen.state, seen.exit_code, seen.message) == (state, code, "as Ray says")
    assert seen.log_tail == "last words\n"
    asked = len(ray.calls)
    operator.look(order)
    assert ray.calls[asked:] == ["GET /api/jobs/u-1"]  # the log is read once


def test_a_stopped_driver(operator: Operator) -> None:
    order = order_for(submit=True, entrypoint="exec sleep 60")
    operator.look(order)
    seen = operator.look_until(
        replace(order, submit=False, stop=True), lambda it: it.state and it.state.ended
    )
    assert (seen.state, seen.exit_code) == (JobState.STOPPED, None)


def test_the_log_is_cut_at_its_beginning(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_api, "LOG_BYTES", 100)
    script = f"""{sys.executable} -c 'print("é" * 500 + "the end")'"""
    order = order_for(submit=True, entrypoint=script, env=(("PYTHONIOENCODING", "utf-8"),))
    tail = operator.look_until(order, lambda seen: seen.log_tail).log_tail
    assert tail.endswith("the end\n")
    assert len(tail.encode()) in (99, 100)


def test_an_unreachable_head_is_dated_from_the_first_silence(operator: Operator) -> None:
    order = order_for(submit=True, entrypoint="exec sleep 60")
    known = operator.look(order)
    operator.reach.cut = True
    first = operator.look(order)
    later = operator.look(order)
    assert (later.found, later.unreachable_since, later.state) == (None, first.at, known.state)
    assert later == first  # in nothing but times, which wake nobody
    for clock_was_set in (-5000.0, 5000.0):
        operator.now += clock_was_set
        later = operator.look(order)
    assert (first.unreachable_seconds, later.unreachable_seconds) == (0.0, 3.0)
    assert "cut off" in later.error
    operator.reach.cut = False
    back = operator.look(order)
    assert (back.found, back.unreachable_since, back.error) == (True, None, "")
    assert back.unreachable_seconds == 0.0


@pytest.mark.parametrize("port", [1, None])
def test_a_wrong_token_and_a_closed_port_are_no_answer(operator: Operator, port: int | None) -> None:
    if port is not None:
        operator.reach.ray["head"] = port
    seen = operator.look(order_for(token="another-secret"))
    assert seen.found is None
    assert seen.unreachable_since == seen.at
    assert "another-secret" not in repr(seen)
    assert ("does not take the job's token" in seen.error) is (port is None)


def test_what_was_seen_of_another_attempt_or_head_is_forgotten(operator: Operator) -> None:
    order = order_for(submit=True, entrypoint="echo words; exit 3")
    operator.look_until(order, lambda seen: seen.log_tail)
    other = replace(order, submit=False, head=Head("ns", "head", "another-uid", "127.0.0.1"))
    seen = operator.look(replace(other, submission_id="u-2", attempt=2))
    assert (seen.found, seen.state, seen.exit_code, seen.log_tail) == (False, None, None, "")


class Answers:
    """A transport or reach that gives one answer to everything, or none."""

    def __init__(self, answer: Response | None) -> None:
        self.answer, self.paths = answer, list[str]()

    def send(self, *arguments: object) -> Response:
        request = arguments[-1]
        assert isinstance(request, Request)
        self.paths.append(request.path)
        if self.answer is None:
            raise ConnectionLost("nothing came")
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Response(500, b"Internal Server Error"),
        Response(401, b"Unauthorized"),
        Response(200, b"<html>a login page</html>"),
        Response(200, b"[]"),
        Response(200, b'{"status": "ASLEEP"}'),
        Response(200, b"{}"),
        Response(302, b""),
        Response(200, b"[" * 10**6),
    ],
)
def test_anything_but_a_job_and_404_is_no_answer(answer: Response | None) -> None:
    seen = contact(order_for(submit=True), None, Answers(answer), 5.0, 5.0)
    assert (seen.found, seen.unreachable_since) == (None, 5.0)
    assert seen.error


def test_through_the_api_server_only_the_head_itself_says_404() -> None:
    head = order_for().head
    missing = b'{"kind": "Status", "code": 404, "message": "pods \\"head\\" not found"}'
    through = ThroughApiServer(Answers(Response(404, missing)))  # type: ignore[arg-type]
    with pytest.raises(ConnectionLost, match='pods "head" not found'):
        through.send(head, 8265, Request("GET", "/api/jobs/u-1"))
    answers = Answers(Response(404, b"Job u-1 does not exist"))
    assert ThroughApiServer(answers).send(head, 8265, Request("GET", "/api/jobs/u-1")).status == 404  # type: ignore[arg-type]
    assert answers.paths == ["/api/v1/namespaces/ns/pods/head:8265/proxy/api/jobs/u-1"]


def test_a_head_without_an_address_is_not_looked_for_on_this_machine() -> None:
    with pytest.raises(ConnectionLost, match="no address"):
        Direct().send(Head("ns", "head", "uid", ""), 8265, Request("GET", "/"))


@pytest.mark.parametrize(
    "begins", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_call_takes_no_longer_than_it_may_even_if_the_answer_drips(begins: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        connection.sendall(begins)
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    head = Head("ns", "head", "uid", "127.0.0.1")
    with pytest.raises(ConnectionLost):
        Direct().send(head, listener.getsockname()[1], Request("GET", "/", timeout_seconds=0.5))
    assert time.monotonic() - began < 3
    listener.close()


def test_progress_of_a_later_driver_is_read_without_what_is_unknown() -> None:
    known = Progress(attempt=3, state=ProgressState.TRAINING, env_steps=7)
    text = known.model_dump_json(by_alias=True)
    later = text[:-1] + ', "mood": "good", "edges": [{"name": "a", "colour": "red"}]}'
    read = read_progress(later.encode())
    assert read is not None
    assert (read.env_steps, read.edges[0].name) == (7, "a")
    assert read_progress(b"not JSON") is None
    assert read_progress(b'{"state": "Training"}') is None
    assert read_progress(b"[1]") is None
    assert read_progress(b"[" * 10**6) is None


def test_what_ray_says_can_be_written_down_whatever_it_is() -> None:
    said = b'{"status": "FAILED", "message": "\\udc80 is no file", "driver_exit_code": 1}'
    assert contact(order_for(), None, Answers(Response(200, said)), 5.0, 5.0).message == "? is no file"


class Speaks:
    """A head whose driver runs and says one thing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress.model_dump_json(by_alias=True).encode()

    def send(self, head: Head, port: int, request: Request) -> Response:
        return Response(200, b'{"status": "RUNNING"}' if port == DASHBOARD_PORT else self._progress)


@pytest.mark.parametrize("quote", ["", '"', "'", "\\"])
def test_a_secret_in_what_a_driver_says_is_hidden_and_the_rest_is_heard(quote: str) -> None:
    message = f"refused: Bearer {quote}abcdef{quote} at line 1\nof the file"
    said = Progress(
        attempt=1,
        state=ProgressState.FAILED,
        failure=FailureProgress(reason=FailureReason.INTERNAL_ERROR, message=message),
        mlflow_run_id="bearer a" + "," * 56,
    )
    progress = contact(order_for(), None, Speaks(said), 5.0, 5.0).progress
    assert progress is not None
    assert progress.failure is not None
    assert progress.failure.message.endswith("line 1\nof the file")
    assert "abcdef" not in progress.failure.message


@dataclass
class Dying:
    """A head whose driver speaks until it is ``dead``, and then Ray says so."""

    dead: bool = False

    def send(self, head: Head, port: int, request: Request) -> Response:
        if port == DASHBOARD_PORT:
            state = "FAILED" if self.dead else "RUNNING"
            return Response(200, json.dumps({"status": state, "driver_exit_code": -9}).encode())
        if self.dead:
            raise ConnectionLost("refused")
        return Response(200, b'{"attempt": 1, "state": "Training"}')


def test_ray_is_asked_in_the_same_look_where_a_driver_that_spoke_is_silent() -> None:
    head, seen = Dying(), None
    for _ in range(2):
        seen = contact(order_for(), seen, head, 5.0, 5.0)
        assert seen.state is JobState.RUNNING
    head.dead = True
    seen = contact(order_for(), seen, head, 5.0, 5.0)
    assert (seen.state, seen.exit_code) == (JobState.FAILED, -9)
