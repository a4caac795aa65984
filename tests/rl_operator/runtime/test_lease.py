"""Leader election on a real Lease: never two, a quick hand-over, and an end when the Lease can't be kept."""

from __future__ import annotations

import threading
import time

import pytest

from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.lease import Elector, Timing
from rl_operator.runtime.resources import LEASES
from rl_operator.runtime.transport import ConnectionLost, Request, Response
from tests.apiserver.control_plane import ControlPlane
from tests.rl_operator.runtime.clocks import HandClock
from tests.rl_operator.runtime.samples import eventually

QUICK = Timing(duration=12.0, renew_deadline=8.0, retry=0.3)


class Line:
    """The way to the server, which may be down."""

    def __init__(self, server: ControlPlane) -> None:
        self._transport = connect(server.kubeconfig)
        self.down = False

    def send(self, request: Request) -> Response:
        if self.down:
            raise ConnectionLost("the line is down")
        return self._transport.send(request)

    stream = None


class Candidate:
    """An elector, whether it was told that it lost, and its own line."""

    def __init__(self, server: ControlPlane, namespace: str, name: str, timing: Timing = QUICK) -> None:
        self.line = Line(server)
        self.lost = threading.Event()
        self.elector = Elector(
            Api(self.line),  # type: ignore[arg-type]
            namespace,
            name,
            on_lost=self.lost.set,
            timing=timing,
        )

    def run(self) -> threading.Thread:
        thread = threading.Thread(target=self.elector.acquire, daemon=True)
        thread.start()
        return thread

    @property
    def leads(self) -> bool:
        return self.elector.is_leader


def holder(server: ControlPlane, namespace: str) -> str:
    lease = Api(connect(server.kubeconfig)).get(LEASES, namespace, "rl-operator")
    assert lease is not None
    return str(lease["spec"]["holderIdentity"])


def test_of_two_one_leads_and_the_other_follows_at_once_when_it_steps_down(
    api_server: ControlPlane, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="rl_operator.runtime.lease")
    first, second = (Candidate(api_server, namespace, name) for name in ("first", "second"))
    first.run()
    eventually(lambda: first.leads)
    second.run()
    time.sleep(3 * QUICK.retry)
    assert not second.leads
    assert caplog.text.count("waiting: the leader is first") == 1
    assert holder(api_server, namespace) == "first"
    first.elector.release()
    assert not first.leads
    assert holder(api_server, namespace) in ("", "second"), "nobody has to wait until it runs out"
    eventually(lambda: second.leads)
    assert holder(api_server, namespace) == "second"
    assert not first.lost.is_set()
    second.elector.release()
    assert holder(api_server, namespace) == ""


def test_who_can_not_renew_stops_before_another_may_begin(api_server: ControlPlane, namespace: str) -> None:
    first, second = (Candidate(api_server, namespace, name) for name in ("first", "second"))
    first.run()
    eventually(lambda: first.leads)
    second.run()
    first.line.down = True
    eventually(lambda: second.leads)
    assert first.lost.is_set()
    assert not first.leads
    second.elector.release()


def test_a_leader_that_was_displaced_notices(api_server: ControlPlane, api: Api, namespace: str) -> None:
    first = Candidate(api_server, namespace, "first")
    first.run()
    eventually(lambda: first.leads)
    api.merge_patch(LEASES, namespace, "rl-operator", {"spec": {"holderIdentity": "usurper"}})
    eventually(first.lost.is_set)
    assert holder(api_server, namespace) == "usurper"


def test_a_short_outage_is_survived(api_server: ControlPlane, namespace: str) -> None:
    timing = Timing(duration=40.0, renew_deadline=30.0, retry=0.2)
    leader = Candidate(api_server, namespace, "first", timing)
    leader.run()
    eventually(lambda: leader.leads)
    leader.line.down = True
    time.sleep(1.0)
    leader.line.down = False
    time.sleep(1.0)
    assert leader.leads
    assert not leader.lost.is_set()
    leader.elector.release()


def test_many_that_begin_at_once_are_one_leader(api_server: ControlPlane, namespace: str) -> None:
    many = [Candidate(api_server, namespace, f"c{number}") for number in range(6)]
    for each in many:
        each.run()
    eventually(lambda: any(each.leads for each in many))
    time.sleep(2 * QUICK.retry)
    assert sum(each.leads for each in many) == 1
    for each in many:
        each.elector.release()


def test_a_restarted_process_waits_out_its_own_former_self(
    api_server: ControlPlane, api: Api, namespace: str
) -> None:
    """Killed, it could not give the Lease back; its name in the Lease is another's now."""
    killed = Candidate(api_server, namespace, "killed")
    killed.run()
    eventually(lambda: killed.leads)
    killed.elector._stop.set()
    clock = HandClock()
    again = Elector(api, namespace, "again", on_lost=lambda: None, timing=QUICK, clock=clock)
    assert not again.attempt()
    clock.now += QUICK.duration - 0.1
    assert not again.attempt()
    clock.now += 0.2
    assert again.attempt()


@pytest.mark.parametrize("age", [0.0, 1e6])
def test_the_clocks_of_two_machines_need_not_agree(api: Api, namespace: str, age: float) -> None:
    """renewTime of a holder far in the past or future says nothing: only our own waiting counts."""
    time_text = "2001-01-01T00:00:00.000000Z" if age else "2999-01-01T00:00:00.000000Z"
    spec = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": time_text}
    body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": {"name": "rl-operator"}}
    api.create(LEASES, namespace, {**body, "spec": spec})
    clock = HandClock()
    elector = Elector(api, namespace, "me", on_lost=lambda: None, clock=clock)
    assert not elector.attempt()
    clock.now = 14.9
    assert not elector.attempt()
    clock.now = 15.1
    assert elector.attempt()
