"""The operator as a process: what it says when it can't start, and how it starts, waits, acts and ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_operator.rbac import roles
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_platform.spec.crd import custom_resource_definition
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD
from tests.rl_operator.operator_process import OperatorProcess, environment, run_operator
from tests.rl_operator.runtime.samples import eventually

HEAVY = {"torch", "ray", "mlflow", "gymnasium", "numpy"}
IDLE_MIB = 90.0


@pytest.fixture
def server(api_server: ControlPlane) -> ControlPlane:
    api_server.install_crd(custom_resource_definition())
    api_server.install_crd(FREE_RAY_CLUSTER_CRD)
    return api_server


def user_config(server: ControlPlane, token: str, folder: Path) -> Path:
    file = folder / f"kubeconfig-{token}"
    file.write_text(server.kubeconfig_for(token))
    return file


def test_it_imports_nothing_of_the_training_side(tmp_path: Path) -> None:
    code = (
        "import json, sys, pkgutil, importlib, rl_operator\n"
        "found = pkgutil.walk_packages(rl_operator.__path__, 'rl_operator.')\n"
        "for it in found: importlib.import_module(it.name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(ran.stdout))
    assert "rl_operator" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--concurrency", "0"], 2, "--concurrency=0: Input should be greater than or equal to 1"),
        ([], 3, "no cluster: KUBECONFIG is not set"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = run_operator(*arguments, folder=tmp_path)
    assert ran.returncode == code
    assert ran.stderr.startswith(f"error: {said}")
    assert ran.stderr.count("\n") == 1


def test_a_server_that_is_away_or_does_not_know_us_is_said(api_server: ControlPlane, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.write_text(api_server.kubeconfig.read_text().replace(api_server.url, "https://127.0.0.1:9"))
    ran = run_operator("--kubeconfig", str(away), folder=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)
    assert "127.0.0.1:9 does not answer" in ran.stderr
    assert "refused" in ran.stderr
    unknown = user_config(api_server, "an-unknown-token", tmp_path)
    ran = run_operator("--kubeconfig", str(unknown), folder=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (3, 1)
    assert "does not know the credentials" in ran.stderr
    assert "an-unknown-token" not in ran.stderr


def test_a_missing_definition_is_said_with_the_command_that_installs_it(
    server: ControlPlane, tmp_path: Path
) -> None:
    name = custom_resource_definition()["metadata"]["name"]
    server.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    for job in server.request("GET", TRAINING_JOBS.path())[1].get("items", ()):
        # Other tests leave jobs whose dependents nobody here collects: the definition would wait for them.
        about = job["metadata"]
        freed = {"metadata": {"finalizers": None}}
        server.request("PATCH", TRAINING_JOBS.path(about["namespace"], about["name"]), freed)
    eventually(lambda: server.request("GET", TRAINING_JOBS.path())[0] == 404)
    ran = run_operator("--kubeconfig", str(server.kubeconfig), folder=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (4, 1)
    assert "kubectl apply -f helm/rl-platform/files/trainingjobs.rlplatform.io.yaml" in ran.stderr


def test_a_missing_right_is_said_by_name(server: ControlPlane, tmp_path: Path) -> None:
    ran = run_operator("--kubeconfig", str(user_config(server, "stranger", tmp_path)), folder=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (5, 1)
    assert 'cannot list resource "trainingjobs" in API group "rlplatform.io"' in ran.stderr


def test_it_starts_in_seconds_stays_small_and_ends_cleanly(server: ControlPlane, tmp_path: Path) -> None:
    with OperatorProcess(server.kubeconfig, tmp_path, "--operator-namespace", "kube-system") as operator:
        operator.wait_ready()
        eventually(operator.leads)
        assert operator.get("/healthz") == (200, "ok\n")
        assert operator.get("/nothing")[0] == 404
        time.sleep(2)
        assert operator.resident_mib() < IDLE_MIB
        assert operator.terminate() == 0
    told = [json.loads(line) for line in operator.log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set(told[0])
    assert [it["level"] for it in told if it["level"] not in ("info", "debug")] == []
    _, lease = server.request("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/rl-operator")
    assert not lease["spec"].get("holderIdentity"), "given back"


def test_a_second_signal_ends_it_at_once(server: ControlPlane, tmp_path: Path) -> None:
    with OperatorProcess(server.kubeconfig, tmp_path) as operator:
        operator.wait_ready()
        operator.process.send_signal(signal.SIGSTOP)
        operator.process.send_signal(signal.SIGTERM)
        operator.process.send_signal(signal.SIGINT)
        operator.process.send_signal(signal.SIGCONT)
        assert operator.process.wait(120) == 143


def test_after_a_kill_another_takes_over_and_only_one_ever_acts(
    server: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    of = ("--operator-namespace", namespace)
    with (
        OperatorProcess(server.kubeconfig, tmp_path / "one", *of) as first,
        OperatorProcess(server.kubeconfig, tmp_path / "two", *of) as second,
    ):
        first.wait_ready()
        second.wait_ready()
        eventually(lambda: first.leads() or second.leads())
        leader, other = (first, second) if first.leads() else (second, first)
        assert not other.leads()
        leader.process.kill()
        eventually(other.leads)
        assert other.terminate() == 0


def test_without_kuberay_it_is_ready_and_says_what_is_missing(server: ControlPlane, tmp_path: Path) -> None:
    name = FREE_RAY_CLUSTER_CRD["metadata"]["name"]
    server.request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    eventually(lambda: server.request("GET", "/apis/ray.io/v1/rayclusters")[0] == 404)
    with OperatorProcess(server.kubeconfig, tmp_path) as operator:
        operator.wait_ready()
        assert operator.metric('rl_operator_informer_missing{informer="rayclusters"}') == 1
        assert "rayclusters: the server does not serve this kind" in operator.log.read_text()
        assert operator.get("/healthz")[0] == 200


def bind(server: ControlPlane, operator_namespace: str, namespaces: list[str]) -> None:
    """Exactly the declared rights, for the user behind the token `operator`."""
    group = "/apis/rbac.authorization.k8s.io/v1"
    user = {"kind": "User", "name": "system:serviceaccount:rl-platform:rl-operator"}
    for role in roles(operator_namespace, namespaces):
        at = role["metadata"].get("namespace")
        kind = role["kind"].lower()
        place = f"{group}/namespaces/{at}" if at else group
        status, answer = server.request("POST", f"{place}/{kind}s", role)
        assert status in (201, 409), answer
        binding = {
            "metadata": {"name": role["metadata"]["name"]},
            "subjects": [user],
            "roleRef": {"kind": role["kind"], "name": role["metadata"]["name"]},
        }
        status, answer = server.request("POST", f"{place}/{kind}bindings", binding)
        assert status in (201, 409), answer


def test_with_the_declared_rights_in_one_namespace_it_leads_there(
    server: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    bind(server, namespace, [namespace])
    where = ("--operator-namespace", namespace, "--namespaces", namespace)
    with OperatorProcess(user_config(server, "operator", tmp_path), tmp_path / "it", *where) as operator:
        operator.wait_ready()
        eventually(operator.leads)
        assert operator.metric('rest_client_requests_total{code="403"') == 0
        assert f'informer="pods/{namespace}"' in operator.get("/metrics")[1]
        assert operator.terminate() == 0
    ran = run_operator("--kubeconfig", str(user_config(server, "operator", tmp_path)), folder=tmp_path)
    assert ran.returncode == 5, "it may look at one namespace, not at all"
