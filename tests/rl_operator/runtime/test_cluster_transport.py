"""Finding a cluster, credentials that stay out of every text, and calls that always end."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration
from kubernetes.config import incluster_config

from rl_operator.runtime.cluster_transport import ClusterTransport, NoCluster, connect
from rl_operator.runtime.transport import ConnectionLost, Request
from tests.apiserver.control_plane import ControlPlane

TOKEN = "very-secret-token"


def kubeconfig(folder: Path, server: str, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
    file = folder / "kubeconfig"
    file.write_text(
        json.dumps(
            {
                "current-context": "it",
                "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
                "users": [{"name": "u", "user": user or {"token": TOKEN}}],
                "contexts": [
                    {"name": "it", "context": {"cluster": "c", "user": "u"}},
                    {"name": "other", "context": {"cluster": "absent", "user": "u"}},
                ],
            }
        )
    )
    return file


class Scripted:
    """Plain HTTP: answers each connection with the given bytes, in pieces, then waits or closes."""

    def __init__(self, *pieces: bytes, wait: bool = False) -> None:
        self.asked: list[bytes] = []
        self._pieces, self._wait = pieces, wait
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                asked = client.recv(1 << 16)
                if asked.startswith(b"POST") and asked.endswith(b"\r\n\r\n"):
                    asked += client.recv(1 << 16)
                self.asked.append(asked)
                with suppress(OSError):  # nobody waits for the rest
                    for piece in self._pieces:
                        client.sendall(piece)
                        time.sleep(0.05)
                if self._wait:
                    time.sleep(5)

    def close(self) -> None:
        self._listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def stream_of(tmp_path: Path, server: Scripted, timeout_seconds: float = 5.0) -> Iterator[bytes]:
    transport = connect(kubeconfig(tmp_path, server.url))
    return transport.stream(Request("GET", "/watch", timeout_seconds=timeout_seconds))


def test_a_call_carries_token_path_query_and_body(tmp_path: Path) -> None:
    server = Scripted(HEAD + b"Content-Length: 2\r\nRetry-After: 3\r\n\r\n{}")
    transport = connect(kubeconfig(tmp_path, server.url + "/base"))
    request = Request(
        "POST", "/api/v1/pods/a b:80/proxy", (("q", "a&b"),), b"[1]", headers=(("X-Other", "yes"),)
    )
    response = transport.send(request)
    assert (response.status, response.body, response.headers["retry-after"]) == (200, b"{}", "3")
    asked = server.asked[0].decode()
    assert asked.startswith("POST /base/api/v1/pods/a%20b:80/proxy?q=a%26b HTTP/1.1\r\n")
    for line in (f"authorization: bearer {TOKEN}", "x-other: yes", "content-type: application/json"):
        assert line in asked.lower()
    assert asked.endswith("[1]")
    assert transport.secrets() == (TOKEN,)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_an_answer_of_somebody_else_is_bounded_in_length_and_time(tmp_path: Path, framing: bytes) -> None:
    """A head behind the API server may say more than there is memory for, or never come to an end."""
    drops = [b"1\r\nx\r\n" if b"chunked" in framing else b"x"] * 40
    transport = connect(kubeconfig(tmp_path, Scripted(HEAD + framing, *drops).url))
    with pytest.raises(ConnectionLost, match="more than 10 bytes"):
        transport.send(Request("GET", "/", timeout_seconds=60.0, most_bytes=10))
    with pytest.raises(ConnectionLost, match="timed out"):
        transport.send(Request("GET", "/", timeout_seconds=0.5, most_bytes=10**6))
    short = Scripted(HEAD + b"Content-Length: 2\r\n\r\n{}")
    assert connect(kubeconfig(tmp_path, short.url)).send(Request("GET", "/", most_bytes=2)).body == b"{}"


def test_lines_come_as_they_arrive_and_whole(tmp_path: Path) -> None:
    server = Scripted(CHUNKED + b'6\r\n{"a":1\r\n', b'5\r\n}\n{"b\r\n', b'5\r\n":2}\n\r\n', b"0\r\n\r\n")
    assert list(stream_of(tmp_path, server)) == [b'{"a":1}', b'{"b":2}']


def test_lines_without_chunks_come_as_they_arrive_too(tmp_path: Path) -> None:
    """As some proxies pass them on."""
    lines = stream_of(tmp_path, Scripted(HEAD + b"\r\n", b'{"a":1}\n{"b', wait=True), timeout_seconds=4.0)
    assert next(lines) == b'{"a":1}'


def test_a_line_of_many_chunks_or_a_long_one_comes_whole(tmp_path: Path) -> None:
    long = b'{"a":"' + b"x" * 300_000 + b'"}'
    server = Scripted(CHUNKED + b"%x\r\n%b\n\r\n" % (len(long) + 1, long), b'8\r\n{"b":1}\n\r\n0\r\n\r\n')
    assert list(stream_of(tmp_path, server)) == [long, b'{"b":1}']


def test_a_stream_that_breaks_off_is_a_lost_connection(tmp_path: Path) -> None:
    lines = stream_of(tmp_path, Scripted(CHUNKED + b'8\r\n{"a":1}\n\r\n'))
    assert next(lines) == b'{"a":1}'
    with pytest.raises(ConnectionLost):
        next(lines)


def test_a_stream_that_is_silent_for_too_long_is_a_lost_connection(tmp_path: Path) -> None:
    lines = stream_of(tmp_path, Scripted(CHUNKED + b'8\r\n{"a":1}\n\r\n', wait=True), timeout_seconds=0.5)
    assert next(lines) == b'{"a":1}'
    started = time.monotonic()
    with pytest.raises(ConnectionLost, match="timed out"):
        next(lines)
    assert time.monotonic() - started < 4


def test_what_is_no_status_document_becomes_one(tmp_path: Path) -> None:
    page = b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 4\r\n\r\nbusy"
    document = json.loads(next(stream_of(tmp_path, Scripted(page))))
    assert (document["kind"], document["code"], document["message"]) == ("Status", 503, "busy")
    assert document["details"] == {"retryAfterSeconds": 2}


def test_a_call_that_is_not_answered_ends_in_time(tmp_path: Path) -> None:
    transport = connect(kubeconfig(tmp_path, Scripted(b"", wait=True).url))
    started = time.monotonic()
    with pytest.raises(ConnectionLost, match="timed out"):
        transport.send(Request("GET", "/", timeout_seconds=0.5))
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("token", [f"{TOKEN}\nsecond line", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}é☃"])
def test_a_token_that_no_header_can_carry_is_not_shown(tmp_path: Path, token: str) -> None:
    transport = connect(kubeconfig(tmp_path, "http://127.0.0.1:9", {"token": token}))
    with pytest.raises(ConnectionLost) as caught:
        transport.send(Request("GET", "/"))
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_no_error_and_no_text_form_shows_the_token(tmp_path: Path) -> None:
    transport = connect(kubeconfig(tmp_path, "https://127.0.0.1:9"))
    request = Request("GET", "/x", body=TOKEN.encode(), headers=(("Authorization", TOKEN),))
    with pytest.raises(ConnectionLost) as caught:
        transport.send(request)
    assert TOKEN not in f"{caught.value!r} {request!r} {transport!r}"


@pytest.mark.usefixtures("no_cluster")
def test_nothing_to_connect_to_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"KUBECONFIG is not set .* give --kubeconfig"):
        connect()
    with pytest.raises(NoCluster, match="there is no such kubeconfig"):
        connect(tmp_path / "absent")


@pytest.mark.usefixtures("no_cluster")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"users: [{{name: u, user: {{token: {TOKEN}}}", "not YAML"),
        ("", "file is empty"),
        ("[]", "not a kubeconfig"),
        (f"users: [{{token: {TOKEN}}}]\nclusters: []\ncontexts: []", "kubeconfig"),
        (
            f"current-context: a\nclusters: []\ncontexts: [{{name: a, context: {{user: {TOKEN}}}}}]",
            "cluster",
        ),
    ],
)
def test_a_kubeconfig_that_is_wrong_is_named_and_not_quoted(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(NoCluster) as caught:
        connect(file)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.usefixtures("no_cluster")
def test_context_certificate_and_proxy_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match="absent"):
        connect(kubeconfig(tmp_path, "https://h"), "other")
    with pytest.raises(NoCluster, match="nowhere"):
        connect(kubeconfig(tmp_path, "https://h"), "nowhere")
    with pytest.raises(NoCluster):
        connect(kubeconfig(tmp_path, "https://h", **{"certificate-authority": "absent.crt"}))
    with pytest.raises(NoCluster, match="socks5 proxies"):
        connect(kubeconfig(tmp_path, "https://h", **{"proxy-url": "socks5://127.0.0.1:9"}))


def test_kubeconfig_of_the_environment_is_read_before_the_pod(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://elsewhere:1")))
    assert connect().host == "elsewhere:1"
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(NoCluster, match="service account of this pod"):
        connect()


def test_what_is_written_to_files_for_tls_is_removed_at_once(
    api_server: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    inline = {"certificate-authority-data": b64encode(api_server.ca_file.read_bytes()).decode()}
    transport = connect(kubeconfig(tmp_path, api_server.url, {"token": api_server.token}, **inline))
    assert transport.send(Request("GET", "/api")).status == 200
    assert [it.name for it in tmp_path.iterdir()] == ["kubeconfig"]


def test_a_server_with_another_certificate_is_refused(api_server: ControlPlane, tmp_path: Path) -> None:
    transport = connect(kubeconfig(tmp_path, api_server.url, {"token": api_server.token}))
    with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
        transport.send(Request("GET", "/api"))
    careless = kubeconfig(
        tmp_path, api_server.url, {"token": api_server.token}, **{"insecure-skip-tls-verify": True}
    )
    assert connect(careless).send(Request("GET", "/api")).status == 200


def test_in_a_pod_no_file_is_written(
    api_server: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(api_server.token)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(api_server.ca_file))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    host, port = api_server.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert connect().send(Request("GET", "/api")).status == 200


def test_a_projected_token_is_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a pod, whose token file the kubelet replaces."""
    server = Scripted(HEAD + b"Content-Length: 2\r\n\r\n{}")
    host, port = server.url.removeprefix("http://").split(":")
    token_file, ca_file = tmp_path / "token", tmp_path / "ca.crt"
    token_file.write_text("first-token-of-it\n")
    ca_file.write_text("a certificate")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    loader = incluster_config.InClusterConfigLoader(str(token_file), str(ca_file))
    configuration = Configuration()
    loader.load_and_set(configuration)
    loader.host = server.url
    configuration.host = server.url
    transport = ClusterTransport(configuration, None)
    transport.send(Request("GET", "/"))
    token_file.write_text("second-token-of-it\n")
    loader.token_expires_at = loader.token_expires_at.replace(year=2000)
    transport.send(Request("GET", "/"))
    assert [b"first-token-of-it" in it for it in server.asked] == [True, False]
    assert b"second-token-of-it" in server.asked[1]
    assert transport.secrets() == ("second-token-of-it",)
    token_file.unlink()
    loader.token_expires_at = loader.token_expires_at.replace(year=2000)
    with pytest.raises(ConnectionLost, match="no credentials"):
        transport.send(Request("GET", "/"))
