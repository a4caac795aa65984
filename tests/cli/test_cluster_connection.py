"""What a person reads when the cluster cannot be reached, or does not let them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rl_platform.cli import api_requests
from rl_platform.cli import jobs as job_paths
from tests.cli.cluster_jobs import ClusterJobs, manifest, run
from tests.cli.commands import CARTPOLE

TOKEN = "s3cr3t-t0ken"


def kubeconfig(folder: Path, server: str, **cluster: Any) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "mine"}},
            {"name": "there", "context": {"cluster": "here", "user": "me"}},
        ],
    }
    return manifest(folder, json.dumps(document), "kubeconfig")


@contextmanager
def answering(*answers: tuple[int, bytes, dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """A server with these answers in turn, the last again and again; and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body, headers = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_without_a_kubeconfig_one_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    ran = run("get")
    assert ran.code == 2
    assert "there is no kubeconfig at ~/.kube/config" in ran.err


def test_a_context_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    ran = run("get", "--kubeconfig", kubeconfig(tmp_path, "http://x"), "--context", "prod")
    assert ran.code == 2
    assert "has no context prod: there are here, there" in ran.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be used as a kubeconfig"),
        ("{[", "is not YAML"),
        ("just text", "cannot be used as a kubeconfig"),
        ("{apiVersion: v1, kind: Config}", "names no current context"),
        (
            "{contexts: [{name: a, context: {cluster: c}}], current-context: a}",
            "cannot be used as a kubeconfig",
        ),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    ran = run("get", "--kubeconfig", manifest(tmp_path, text, "kubeconfig"))
    assert ran.code == 2
    assert sentence in ran.err
    assert "kubeconfig" in ran.err


def test_the_environments_kubeconfig_and_the_contexts_namespace_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering((200, b'{"items": [], "metadata": {}}', {})) as (address, asked):
        monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{kubeconfig(tmp_path, address)}")
        assert run("get").code == 0
        assert run("get", "--context", "there").code == 0
    assert [each.split("?")[0].split("/")[-2] for each in asked] == ["mine", "default"]


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    ran = run("get", "--kubeconfig", kubeconfig(tmp_path, f"http://127.0.0.1:{port}"))
    assert ran.code == 1
    assert f"http://127.0.0.1:{port} does not answer: connection refused; is it running" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_server_whose_name_is_unknown_is_named(tmp_path: Path) -> None:
    ran = run("get", "--kubeconfig", kubeconfig(tmp_path, "http://no-such-server.invalid"))
    assert ran.code == 1
    assert "cannot be resolved" in ran.err


def test_a_server_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_requests, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ran = run("get", "--kubeconfig", kubeconfig(tmp_path, address))
    assert ran.code == 1
    assert "does not answer in time" in ran.err


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    busy, busy_and_silent = (429, b"{}", {"Retry-After": "0"}), (429, b"{}", {})
    with answering(busy, busy_and_silent, (200, b'{"items": [], "metadata": {}}', {})) as (address, asked):
        assert run("get", "--kubeconfig", kubeconfig(tmp_path, address)).code == 0
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b"<html>log in</html>", "something else than JSON"),
        (200, b"[]", "something else than JSON"),
        (502, b"<html>bad gateway</html>", "bad gateway"),
        (503, b"", "HTTP status 503"),
        (401, b'{"kind": "Status", "message": "Unauthorized"}', "log in again"),
        (302, b"", "something else than JSON"),
    ],
)
def test_answers_that_no_api_server_gives_are_said(
    tmp_path: Path, status: int, body: bytes, sentence: str
) -> None:
    with answering((status, body, {"Location": "http://127.0.0.1:1/"})) as (address, _):
        ran = run("get", "--kubeconfig", kubeconfig(tmp_path, address))
    assert ran.code == 1
    assert sentence in ran.err
    assert TOKEN not in ran.err


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(jobs: ClusterJobs, tmp_path: Path) -> None:
    ran = run("get", "--kubeconfig", kubeconfig(tmp_path, jobs.server.url))
    assert ran.code == 1
    assert "cannot be trusted" in ran.err
    assert TOKEN not in ran.err


def test_a_token_that_is_not_accepted_asks_for_a_login(jobs: ClusterJobs) -> None:
    ran = jobs.rlp("get", user="nobody-knows-me")
    assert ran.code == 1
    assert "log in again" in ran.err
    assert "nobody-knows-me" not in ran.err, "the token itself"


@pytest.mark.parametrize(("plugin", "code"), [("good", 0), ("bad", 1)])
def test_a_login_plugin_is_run_as_kubectl_runs_it(
    jobs: ClusterJobs, tmp_path: Path, plugin: str, code: int
) -> None:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    answer = json.dumps(credential | {"status": {"token": jobs.server.token}})
    script = manifest(tmp_path, f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", "good")
    script.chmod(0o755)
    document = json.loads(jobs.kubeconfig().read_text())
    exec_of = {"apiVersion": credential["apiVersion"], "command": str(tmp_path / plugin)}
    document["users"][0]["user"] = {"exec": exec_of}
    path = manifest(tmp_path, json.dumps(document), "kubeconfig")
    ran = run("get", "-n", jobs.namespace, "--kubeconfig", path)
    assert ran.code == code
    assert ("log in again" in ran.err) == (code == 1)
    assert jobs.server.token not in ran.err


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        (("get",), "list trainingjobs"),
        (("get", "cartpole"), "get trainingjobs"),
        (("submit", CARTPOLE), "get trainingjobs"),
        (("watch", "cartpole"), "get trainingjobs"),
        (("delete", "cartpole", "--yes"), "get trainingjobs"),
    ],
)
def test_who_may_not_is_told_what(jobs: ClusterJobs, command: tuple[str, ...], verb: str) -> None:
    ran = jobs.rlp(*command, user="stranger")
    assert ran.code == 1
    assert f"user stranger may not {verb} in namespace {jobs.namespace}" in ran.err


@pytest.mark.parametrize(
    ("command", "verb"),
    [("suspend", "patch"), ("delete", "delete"), ("submit", "patch")],
)
def test_who_may_only_read_is_told_what_is_missing(jobs: ClusterJobs, command: str, verb: str) -> None:
    jobs.submit()
    jobs.allow("author", ("rlplatform.io", "trainingjobs", ("get", "list", "watch")))
    arguments = (CARTPOLE, "--set=metadata.name=cartpole") if command == "submit" else ("cartpole",)
    ran = jobs.rlp(command, *arguments, user="author")
    assert ran.code == 1
    assert f"user author may not {verb} trainingjobs" in ran.err
    account = jobs.rlp("get", "cartpole", user="author")
    assert account.code == 0, "events are not needed"
    assert "may not list events" in account.out


def test_a_cluster_without_the_crd_says_how_to_install_it(
    jobs: ClusterJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is not served is refused by the server as a kind that is not there."""
    monkeypatch.setattr(job_paths, "GROUP_PATH", "/apis/rlplatform.io/v9")
    for command in (("get",), ("get", "cartpole"), ("submit", CARTPOLE)):
        ran = jobs.rlp(*command)
        assert ran.code == 1
        assert "helm install rl-platform" in ran.err


def test_without_the_clients_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    ran = run("get", "--kubeconfig", kubeconfig(tmp_path, "http://x"))
    assert ran.code == 2
    assert "pip install 'rl-platform[cluster]'" in ran.err


def test_the_client_is_imported_by_no_command_that_needs_no_cluster() -> None:
    code = (
        "import sys; from rl_platform.cli.main import main; "
        f"main(['validate', {str(CARTPOLE)!r}]); "
        "import rl_platform.cli.submit, rl_platform.cli.get, rl_platform.cli.watch, rl_platform.cli.logs; "
        "sys.exit('kubernetes' in sys.modules or 'urllib3' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
