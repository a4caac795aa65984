"""The endpoints over real connections: what they answer, whom they refuse, that nobody holds them up."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rl_platform.driver import http_server
from rl_platform.driver.http import DriverEndpoints
from rl_platform.spec.driver_protocol import Desired, Progress, ProgressState

TOKEN = "s3cret-token"


def progress(env_steps: int = 0, state: ProgressState = ProgressState.TRAINING) -> Progress:
    return Progress(attempt=3, state=state, env_steps=env_steps, updates=env_steps // 10)


@pytest.fixture(autouse=True)
def _quick_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "POLL_SECONDS", 0.01)


@pytest.fixture
def endpoints() -> Iterator[DriverEndpoints]:
    registry = CollectorRegistry()
    Counter("rlp_probe", "A probe.", registry=registry).inc(7)
    opened = DriverEndpoints(0, TOKEN, registry)
    yield opened
    opened.close()


def ask(
    endpoints: DriverEndpoints,
    method: str,
    path: str,
    body: str | bytes | None = None,
    token: str | None = TOKEN,
    **headers: str,
) -> tuple[int, dict, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoints.port, timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        given.setdefault("Authorization", f"Bearer {token}")
    connection.request(method, path, body, given)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    is_json = response.headers["Content-Type"] == "application/json" and text
    return response.status, json.loads(text) if is_json else {"text": text.decode()}, response


def send(endpoints: DriverEndpoints, raw: bytes, timeout: float = 10) -> bytes:
    with socket.create_connection(("127.0.0.1", endpoints.port), timeout=timeout) as connection:
        connection.sendall(raw)
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
        return answer


def test_progress_is_what_was_published_last(endpoints: DriverEndpoints) -> None:
    assert ask(endpoints, "GET", "/progress")[0] == 503
    for step in (10, 20):
        endpoints.publish(progress(step))
        status, body, _ = ask(endpoints, "GET", "/progress")
        assert status == 200
        assert Progress.model_validate(body, strict=False) == progress(step)


def test_metrics_need_no_token_and_are_in_the_format_of_prometheus(endpoints: DriverEndpoints) -> None:
    status, body, response = ask(endpoints, "GET", "/metrics", token=None)
    assert status == 200
    assert "rlp_probe_total 7.0" in body["text"]
    assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(("method", "path"), [("GET", "/progress"), ("PUT", "/desired"), ("POST", "/drain")])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": f"Bearer {TOKEN}x"}, 403),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 403),
        ({"Authorization": "Bearer \xe9"}, 403),
        ({"X-RLP-Authorization": f"Bearer {TOKEN}x"}, 403),
        ({"X-RLP-Authorization": TOKEN}, 401),
    ],
)
def test_without_the_right_token_nothing_is_shown_and_nothing_is_taken(
    endpoints: DriverEndpoints, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    endpoints.publish(progress())
    found, body, response = ask(endpoints, method, path, b'{"generation": 1}', None, **headers)
    assert found == status
    assert body.keys() == {"error"}
    assert (response.headers["WWW-Authenticate"] is not None) == (status == 401)
    assert endpoints.desired() is None
    assert not endpoints.drain_requested


@pytest.mark.parametrize("others", [{}, {"Authorization": "Bearer of-the-api-server"}])
def test_behind_a_proxy_the_token_comes_in_a_header_of_its_own(
    endpoints: DriverEndpoints, others: dict[str, str]
) -> None:
    endpoints.publish(progress())
    headers = others | {"X-RLP-Authorization": f"Bearer {TOKEN}"}
    assert ask(endpoints, "GET", "/progress", None, None, **headers)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nowhere", 404, "there are /desired, /drain, /metrics, /progress"),
        ("POST", "/progress", 405, "this path takes GET and not POST"),
        ("GET", "/desired", 405, "this path takes PUT and not GET"),
        ("GET", "/drain", 405, "this path takes POST and not GET"),
        ("BREW", "/drain", 405, "this path takes POST and not BREW"),
        ("GET", "/progress?ack=", 400, "as the number of the attempt"),
        ("GET", "/progress?ack=-1", 400, "as the number of the attempt"),
        ("GET", "/progress?ack=" + "9" * 5000, 400, "as the number of the attempt"),
        ("GET", "/progress?ack=3&ack=3", 400, "must be given once"),
        ("GET", "/progress?ack=2", 409, "this is attempt 3, not 2"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(
    endpoints: DriverEndpoints, method: str, path: str, status: int, sentence: str
) -> None:
    endpoints.publish(progress(state=ProgressState.SUCCEEDED))
    found, body, response = ask(endpoints, method, path)
    assert found == status
    assert sentence in body["error"]
    assert (response.headers["Allow"] is not None) == (status == 405)
    assert not endpoints.wait_for_ack(0)


def test_the_highest_generation_of_the_desired_state_wins(endpoints: DriverEndpoints) -> None:
    def put(generation: int, **others: object) -> int:
        return ask(endpoints, "PUT", "/desired", json.dumps({"generation": generation, **others}))[0]

    assert endpoints.desired() is None
    assert put(2, replicas=4) == 202
    assert put(2, replicas=4) == 202, "a repeat must be harmless"
    assert put(1, replicas=8) == 409
    assert put(2, replicas=8) == 409
    assert endpoints.desired() == Desired(generation=2, replicas=4)
    assert put(10, replicas=1) == 202
    assert endpoints.desired() == Desired(generation=10, replicas=1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"generation": "1"}',
        '{"generation": 1, "replica": 1}',
        '{"generation": -1}',
        "\xff",
    ],
)
def test_a_malformed_desired_state_is_refused_and_changes_nothing(
    endpoints: DriverEndpoints, body: str
) -> None:
    status, answer, _ = ask(endpoints, "PUT", "/desired", body.encode("latin-1"))
    assert status == 400
    assert answer["error"].startswith("the body is not a desired state: ")
    assert endpoints.desired() is None


def test_a_malformed_field_is_named(endpoints: DriverEndpoints) -> None:
    assert "replica" in ask(endpoints, "PUT", "/desired", '{"generation": 1, "replica": 1}')[1]["error"]


def test_a_drain_is_seen_by_the_driver_and_may_be_asked_for_twice(endpoints: DriverEndpoints) -> None:
    assert not endpoints.drain_requested
    for _ in range(2):
        assert ask(endpoints, "POST", "/drain")[0] == 202
        assert endpoints.drain_requested


def test_a_body_that_is_too_large_is_refused_and_the_answer_arrives(endpoints: DriverEndpoints) -> None:
    for size in (http_server.BODY_BYTES + 1, 4_000_000):
        assert ask(endpoints, "PUT", "/desired", b" " * size)[0] == 413
    assert b" 413 " in send(endpoints, _head("PUT", "/desired", "Content-Length: " + "9" * 5000))
    padded = b'{"generation": 1}'.ljust(http_server.BODY_BYTES)
    assert ask(endpoints, "PUT", "/desired", padded)[0] == 202


def _head(method: str, path: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\n\r\n", 505),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (_head("PUT", "/desired"), 411),
        (_head("PUT", "/desired", "Transfer-Encoding: chunked"), 411),
        (_head("PUT", "/desired", "Content-Length: -1"), 400),
        (_head("PUT", "/desired", "Content-Length: 1", "Content-Length: 2"), 400),
        (_head("PUT", "/desired", "Content-Length: x"), 400),
    ],
)
def test_a_malformed_request_is_refused_in_json(endpoints: DriverEndpoints, raw: bytes, status: int) -> None:
    head, _, body = send(endpoints, raw).partition(b"\r\n\r\n")
    assert f" {status} ".encode() in head.split(b"\r\n")[0]
    assert json.loads(body).keys() == {"error"}
    assert ask(endpoints, "GET", "/metrics")[0] == 200, "the next one must be served"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.4)


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"", b"G"),
        (b"GET /metrics HTTP/1.1\r\n", b"X: 1\r\n"),
        (_head("PUT", "/desired", "Content-Length: 999"), b" "),
    ],
)
@pytest.mark.usefixtures("hasty")
def test_a_request_that_drips_is_cut_off_while_others_are_served(
    endpoints: DriverEndpoints, start: bytes, drip: bytes
) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", endpoints.port), timeout=10) as connection:
        connection.sendall(start)
        assert ask(endpoints, "GET", "/metrics")[0] == 200
        connection.settimeout(0.05)
        while time.monotonic() - began < 5:
            try:
                connection.sendall(drip)
                if connection.recv(1 << 16) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - began < 2.5


@pytest.mark.usefixtures("hasty")
def test_idle_connections_beyond_the_bound_are_turned_away_and_make_room_again(
    endpoints: DriverEndpoints,
) -> None:
    before = threading.active_count()
    address = ("127.0.0.1", endpoints.port)
    idle = [socket.create_connection(address, timeout=10) for _ in range(http_server.CONNECTIONS + 20)]
    time.sleep(0.2)
    assert threading.active_count() - before <= http_server.CONNECTIONS
    assert _served_within(5, endpoints), "idle connections must make room again"
    for connection in idle:
        connection.close()


def _served_within(seconds: float, endpoints: DriverEndpoints) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError, http.client.HTTPException):
            return ask(endpoints, "GET", "/metrics")[0] == 200
        time.sleep(0.05)
    return False


def test_many_at_once_get_whole_answers_while_the_driver_publishes(endpoints: DriverEndpoints) -> None:
    endpoints.publish(progress(0))
    done = threading.Event()

    def publish() -> None:
        step = 0
        while not done.is_set():
            step += 10
            endpoints.publish(progress(step))
            time.sleep(0.0005)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: ask(endpoints, "GET", "/progress"), range(160)))
            generations = list(
                pool.map(
                    lambda n: ask(endpoints, "PUT", "/desired", json.dumps({"generation": n, "replicas": n}))[
                        0
                    ],
                    range(1, 81),
                )
            )
    finally:
        done.set()
        publisher.join()
    assert {status for status, _, _ in found} == {200}
    assert all(body["updates"] * 10 == body["envSteps"] for _, body, _ in found), "an answer is of one moment"
    assert set(generations) <= {202, 409}
    assert endpoints.desired() == Desired(generation=80, replicas=80)


@pytest.mark.parametrize("state", ["Succeeded", "Drained", "Failed"])
def test_only_an_acknowledged_final_progress_ends_the_lingering(
    endpoints: DriverEndpoints, state: str
) -> None:
    for early in ("Starting", "Training", "Draining"):
        endpoints.publish(progress(10, ProgressState(early)))
        assert ask(endpoints, "GET", "/progress?ack=3")[0] == 200
        assert not endpoints.wait_for_ack(0), "what was read was not the final one"
    endpoints.publish(progress(20, ProgressState(state)))
    assert ask(endpoints, "GET", "/progress")[0] == 200
    assert not endpoints.wait_for_ack(0), "reading is not acknowledging"
    threading.Timer(0.1, ask, (endpoints, "GET", "/progress?ack=3")).start()
    began = time.monotonic()
    assert endpoints.wait_for_ack(30)
    assert time.monotonic() - began < 5


def test_what_is_published_after_an_acknowledgement_has_to_be_acknowledged_anew(
    endpoints: DriverEndpoints,
) -> None:
    endpoints.publish(progress(20, ProgressState.SUCCEEDED))
    ask(endpoints, "GET", "/progress?ack=3")
    assert endpoints.wait_for_ack(5)
    endpoints.publish(progress(21, ProgressState.SUCCEEDED))
    assert not endpoints.wait_for_ack(0)


def test_lingering_ends_by_itself(endpoints: DriverEndpoints) -> None:
    endpoints.publish(progress(state=ProgressState.SUCCEEDED))
    began = time.monotonic()
    assert not endpoints.wait_for_ack(0.2)
    assert 0.15 < time.monotonic() - began < 2


def test_without_a_token_this_machine_is_served_but_no_web_page_that_is_open_on_it() -> None:
    opened = DriverEndpoints(0, None, CollectorRegistry())
    try:
        assert ask(opened, "POST", "/drain", token=None, Origin="https://example.org")[0] == 403
        assert not opened.drain_requested
        assert ask(opened, "POST", "/drain", token=None)[0] == 202
    finally:
        opened.close()


def test_a_metric_that_fails_is_a_sentence_and_not_the_end() -> None:
    class Broken(Collector):
        def collect(self) -> Iterator[Metric]:
            raise RuntimeError("no figures")

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Broken())
    opened = DriverEndpoints(0, TOKEN, registry)
    try:
        status, body, _ = ask(opened, "GET", "/metrics")
        assert (status, body) == (500, {"error": "the endpoint failed; the driver's log says why"})
        assert ask(opened, "POST", "/drain")[0] == 202
    finally:
        opened.close()


def test_a_closed_port_is_free_again_at_once(endpoints: DriverEndpoints) -> None:
    port = endpoints.port
    ask(endpoints, "GET", "/metrics")
    endpoints.close()
    with pytest.raises(ConnectionRefusedError):
        ask(endpoints, "GET", "/metrics")
    DriverEndpoints(port, TOKEN, CollectorRegistry()).close()
