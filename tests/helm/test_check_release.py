"""What `helm test` runs says what is wrong, and ends well only when nothing is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.helm.chart import CHART, pod_templates, render

SCRIPT = CHART / "files" / "check_release.py"
LEADS = 'leader_election_master_status{name="rl-operator"} 1.0\n'
WAITS = 'leader_election_master_status{name="rl-operator"} 0.0\n'


@contextmanager
def serving(status: int, text: str) -> Iterator[str]:
    """Host and port of a server that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def check(operators: str, replicas: int = 1, mlflow: str | None = None) -> tuple[int, str]:
    variables = {"OPERATORS": operators, "REPLICAS": str(replicas), "SECONDS": "0.1"}
    if mlflow:
        variables["MLFLOW"] = f"http://{mlflow}"
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.read_text()],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout


def test_an_operator_that_leads_is_well() -> None:
    with serving(200, LEADS) as operator, serving(200, "{}") as mlflow:
        assert check(operator, mlflow=mlflow) == (0, "Every operator is ready, and one leads.\n")


@pytest.mark.parametrize(
    ("text", "replicas", "said"),
    [
        (WAITS, 1, "0 operators lead; one should"),
        ("", 1, "0 operators lead; one should"),
        (LEADS + LEADS, 1, "2 operators lead; one should"),
        (LEADS, 2, "1 of 2 operators are ready"),
    ],
)
def test_what_is_wrong_with_operators_is_said(text: str, replicas: int, said: str) -> None:
    with serving(200, text) as operator:
        assert check(operator, replicas) == (1, said + "\n")


def test_a_trial_server_that_refuses_its_own_name_is_said() -> None:
    with serving(200, LEADS) as operator, serving(403, "Invalid Host header") as mlflow:
        code, said = check(operator, mlflow=mlflow)
    assert code == 1
    assert "/api/2.0/mlflow/experiments/search?max_results=1: HTTP Error 403" in said


def test_the_pod_runs_the_file() -> None:
    """Indented by YAML and back again."""
    (pod,) = [pod for name, pod in pod_templates(render("single")) if name.endswith("-test")]
    (container,) = pod["spec"]["containers"]
    assert container["command"][:2] == ["python3", "-c"]
    assert container["command"][2].strip() == SCRIPT.read_text().strip()
    variables = {it["name"]: it["value"] for it in container["env"]}
    assert variables == {
        "OPERATORS": "trial-rl-platform-metrics:8080",
        "REPLICAS": "1",
        "MLFLOW": "http://trial-rl-platform-mlflow.rl-system.svc.cluster.local:5000",
    }
