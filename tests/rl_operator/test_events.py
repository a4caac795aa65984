"""Events on a real API server, and on one that refuses or hangs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from rl_operator.events import AT_ONCE, JOB_AT_ONCE, NOTE_LENGTH, EventRecorder
from rl_operator.observed import Job, job_from
from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.resources import EVENTS
from rl_operator.runtime.transport import Request, Response
from tests.apiserver.control_plane import ControlPlane
from tests.rl_operator.runtime.clocks import HandClock
from tests.rl_operator.runtime.samples import eventually


def a_job(namespace: str, name: str = "job") -> Job:
    metadata = {"namespace": namespace, "name": name, "uid": f"uid-of-{name}", "resourceVersion": "1"}
    return job_from({"metadata": metadata, "spec": {}})


class Told:
    """A recorder on the server, without a thread: `tell` writes at once."""

    def __init__(self, api: Api, clock: HandClock) -> None:
        self.dropped: Counter[str] = Counter()
        self.recorder = EventRecorder(
            api,
            "operator-1",
            redact=lambda text: text.replace("secret", "***"),
            dropped=lambda why: self.dropped.update([why]),
            clock=clock,
        )

    def tell(self, job: Job, reason: str, message: str, kind: str = "Normal") -> None:
        self.recorder.emit(job, kind, reason, message)
        told = self.recorder._waiting.get_nowait()
        assert told is not None
        self.recorder.write(told)


@pytest.fixture
def events(api_server: ControlPlane) -> Api:
    return Api(connect(api_server.kubeconfig))


def listed(api: Api, namespace: str) -> list[dict[str, Any]]:
    return api.list(EVENTS, namespace).items


def test_an_event_tells_who_what_and_why(events: Api, namespace: str) -> None:
    told = Told(events, HandClock())
    told.tell(a_job(namespace), "HeadReady", "a secret " + "x" * 2000, kind="Warning")
    (event,) = listed(events, namespace)
    assert (event["type"], event["reason"]) == ("Warning", "HeadReady")
    assert event["note"] == ("a *** " + "x" * 2000)[:NOTE_LENGTH]
    assert event["reportingController"] == "rlplatform.io/operator"
    assert event["reportingInstance"] == "operator-1"
    about = event["regarding"]
    assert (about["kind"], about["name"], about["uid"]) == ("TrainingJob", "job", "uid-of-job")
    assert not told.dropped


def test_a_repeated_event_is_a_series_that_is_written_now_and_then(events: Api, namespace: str) -> None:
    clock = HandClock()
    told = Told(events, clock)
    for _ in range(5):
        told.tell(a_job(namespace), "Waiting", "for the head")
    told.tell(a_job(namespace), "Waiting", "for another reason")
    by_note = {it["note"]: it for it in listed(events, namespace)}
    assert len(by_note) == 2
    assert by_note["for the head"]["series"]["count"] == 2, "the second at once, later ones in time"
    assert "series" not in by_note["for another reason"]
    clock.now += 301
    told.tell(a_job(namespace), "Waiting", "for the head")
    assert {it["note"]: it for it in listed(events, namespace)}["for the head"]["series"]["count"] == 6


def test_a_series_whose_event_is_gone_begins_anew(events: Api, namespace: str) -> None:
    told = Told(events, HandClock())
    told.tell(a_job(namespace), "Waiting", "for the head")
    (event,) = listed(events, namespace)
    events.delete(EVENTS, namespace, event["metadata"]["name"], uid=event["metadata"]["uid"])
    told.tell(a_job(namespace), "Waiting", "for the head")
    (again,) = listed(events, namespace)
    assert "series" not in again


def test_a_job_that_says_too_much_is_cut_short_and_another_is_not(events: Api, namespace: str) -> None:
    clock = HandClock()
    told = Told(events, clock)
    for number in range(JOB_AT_ONCE + 5):
        told.tell(a_job(namespace), "Noise", f"number {number}")
    told.tell(a_job(namespace, "quiet"), "Noise", "one word")
    assert told.dropped == {"too many of one job": 5}
    assert len(listed(events, namespace)) == JOB_AT_ONCE + 1
    clock.now += 61
    told.tell(a_job(namespace), "Noise", "after a minute")
    assert told.dropped == {"too many of one job": 5}


class Hanging:
    """Answers when it is let go, with a refusal."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def send(self, request: Request) -> Response:
        self.asked += 1
        self.go.wait(30)
        return Response(403, b'{"kind":"Status","reason":"Forbidden","code":403}')

    def stream(self, request: Request) -> Iterator[bytes]:
        raise NotImplementedError


def test_reconcile_never_waits_for_events_and_what_is_refused_is_counted() -> None:
    transport = Hanging()
    told = Told(Api(transport), HandClock())
    told.recorder.start()
    started = time.monotonic()
    for number in range(1500):
        told.recorder.emit(a_job("ns", f"job-{number}"), "Normal", "Begun", "text")
    assert time.monotonic() - started < 10
    assert told.dropped["queue full"] >= 400
    transport.go.set()
    eventually(lambda: told.dropped["refused"] >= AT_ONCE)
    assert transport.asked >= AT_ONCE
