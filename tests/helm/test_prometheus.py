"""A real Prometheus finds operator and driver by the shipped configuration; dashboard and alerts meet series.

Its service discovery reads pods from a real API server. They are entries only: what they name runs here.
"""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rl_operator import names
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_platform.spec.crd import custom_resource_definition
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.program import Program, free_port
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD
from tests.contracts.source_files import ROOT
from tests.driver.driver_process import JOB, Driver
from tests.helm.chart import CHART
from tests.helm.prometheus_programs import program
from tests.helm.promql import metric_names
from tests.rl_operator.operator_process import OperatorProcess

SCRAPE_CONFIGS = ROOT / "helm" / "prometheus" / "scrape-configs.yaml"
ALERTS = CHART / "files" / "alerts.yaml"
WALK = "walk"
WAIT_SECONDS = 90.0
FINISHED = "2026-01-01T00:00:00Z"
ONLY_WHEN_SOMETHING_IS_LOST = {"rlp_dropped_agent_steps_total"}


class Prometheus:
    """Answers queries."""

    def __init__(self, program: Program, port: int) -> None:
        self.program, self.port = program, port

    def api(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{query}", timeout=30) as it:
            return json.load(it)["data"]

    def series(self, query: str) -> list[dict[str, Any]]:
        return list(self.api("query", query=query)["result"])

    def has(self, query: str) -> bool:
        try:
            return bool(self.series(query))
        except OSError:
            return False


@pytest.fixture(scope="module")
def binary() -> str:
    """Asked for first: without it nothing else is started."""
    return program("prometheus")


@pytest.fixture(scope="module")
def prometheus(
    binary: str, api_server: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Scrapes a leading operator, which knows two jobs, and the driver of a running one."""
    folder = tmp_path_factory.mktemp("prometheus")
    for definition in (custom_resource_definition(), FREE_RAY_CLUSTER_CRD):
        api_server.install_crd(definition)
    namespace = "watched"
    api_server.create_namespace(namespace)
    driver = Driver(folder, JOB + "  checkpoint: {everyUpdates: 10}\n")
    operator = OperatorProcess(
        api_server.kubeconfig,
        folder / "operator",
        "--operator-namespace",
        namespace,
        "--namespaces",
        namespace,
    )
    port = free_port()
    scraper = Program(
        [
            binary,
            f"--config.file={configuration(folder, api_server)}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder / "prometheus.log",
    )
    try:
        with operator:
            operator.wait_ready()
            live = int(re.findall(r"port (\d+)", operator.log.read_text())[0])
            tell_a_story(api_server, namespace)
            driver.wait_for_progress()
            pod(api_server, namespace, "operator", live, "metrics", OPERATOR_LABELS)
            pod(api_server, namespace, f"{WALK}-head", driver.port, "driver", JOB_LABELS)
            scraper.start()
            running = Prometheus(scraper, port)
            scraper.wait_until(lambda: running.has("count(up == 1) == 2"), WAIT_SECONDS)
            scraper.wait_until(lambda: running.has("rate(rlp_updates_total[1m])"), WAIT_SECONDS)
            yield running
    finally:
        scraper.stop()
        driver.kill()


OPERATOR_LABELS = {"app.kubernetes.io/part-of": "rl-platform", "app.kubernetes.io/component": "operator"}
JOB_LABELS = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.JOB_LABEL: WALK,
    names.ROLE_LABEL: names.HEAD,
}


def configuration(folder: Path, server: ControlPlane) -> Path:
    """The shipped one; what a pod has from its service account is given by a kubeconfig."""
    document = yaml.safe_load(SCRAPE_CONFIGS.read_text())
    for job in document["scrape_configs"]:
        for discovery in job["kubernetes_sd_configs"]:
            discovery["kubeconfig_file"] = str(server.kubeconfig)
    document |= {
        "global": {"scrape_interval": "1s", "evaluation_interval": "2s"},
        "rule_files": [str(ALERTS)],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(document))
    return file


def pod(
    server: ControlPlane, namespace: str, name: str, port: int, role: str, labels: dict[str, str]
) -> None:
    """An entry that says that something runs at a port of this machine."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    ports = [{"name": role, "containerPort": port}, {"name": "other", "containerPort": 1}]
    body = {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "none", "ports": ports}]},
    }
    status, answer = server.request("POST", path, body)
    assert status == 201, answer
    running = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    status, answer = server.request("PATCH", f"{path}/{name}/status", {"status": running})
    assert status == 200, answer


def tell_a_story(server: ControlPlane, namespace: str) -> None:
    """Two jobs that another controller looks after: one begins to train, one fails."""
    for name, conditions in (
        (WALK, {"Succeeded": "Unknown", "Training": "True"}),
        ("fall", {"Succeeded": "False", "Training": "False"}),
    ):
        body = {
            "apiVersion": TRAINING_JOBS.api_version,
            "kind": TRAINING_JOBS.kind,
            "metadata": {"name": name},
            "spec": {
                "environment": {"id": "CartPole-v1"},
                "algorithm": {"ppo": {}},
                "stop": {"envSteps": 1000},
                "runPolicy": {"managedBy": "example.com/other"},
            },
        }
        path = TRAINING_JOBS.path(namespace)
        status, answer = server.request("POST", path, body)
        assert status == 201, answer
        for values in (dict.fromkeys(conditions, "Unknown"), conditions):
            status, answer = server.request("PATCH", f"{path}/{name}/status", {"status": told(values)})
            assert status == 200, answer


def told(conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "attempt": 1,
        "progress": {"envSteps": 500, "updates": 4, "episodeReturnMean": 20.5, "envStepsPerSecond": 99.5},
        "checkpoint": {"uri": "file:///none", "envSteps": 400, "digest": "0" * 64},
        "conditions": [
            {"type": name, "status": status, "reason": "Told", "lastTransitionTime": FINISHED}
            for name, status in conditions.items()
        ],
    }


def dashboard_queries() -> list[str]:
    rows = yaml.safe_load((CHART / "files" / "dashboard.yaml").read_text())["rows"]
    queries = [query for row in rows for panel in row["panels"] for query in panel["queries"]]
    known = {"$namespace": ".*", "$name": ".*", "$__rate_interval": "1m"}
    return [re.sub(r"\$\w+", lambda found: known[found[0]], it) for it in queries]


@pytest.mark.parametrize("query", dashboard_queries())
def test_every_query_of_the_dashboard_returns_series(query: str, prometheus: Prometheus) -> None:
    if metric_names(query) & ONLY_WHEN_SOMETHING_IS_LOST:
        assert prometheus.series(query) is not None  # it is understood
        return
    prometheus.program.wait_until(lambda: prometheus.has(query), 20)


def test_a_query_of_what_is_not_there_returns_nothing(prometheus: Prometheus) -> None:
    assert prometheus.series("trainingjob_last_env_step") == []


def test_every_metric_of_an_alert_is_there(prometheus: Prometheus) -> None:
    rules = [it for group in yaml.safe_load(ALERTS.read_text())["groups"] for it in group["rules"]]
    asked = {name for rule in rules for name in metric_names(rule["expr"])}
    assert len(asked) > 8
    there = set(prometheus.api("label/__name__/values"))
    assert asked - there == set()


def test_prometheus_evaluates_every_alert_and_the_failed_job_fires(prometheus: Prometheus) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]

    def of_the_failed_job() -> list[dict[str, Any]]:
        return [alert for it in rules() if it["name"] == "TrainingJobFailed" for alert in it["alerts"]]

    prometheus.program.wait_until(lambda: bool(of_the_failed_job()), WAIT_SECONDS)
    prometheus.program.wait_until(lambda: all(it["health"] != "unknown" for it in rules()), WAIT_SECONDS)
    assert {it["health"] for it in rules()} == {"ok"}
    (alert,) = of_the_failed_job()
    assert alert["labels"]["name"] == "fall"
    assert alert["annotations"]["summary"] == "watched/fall has failed."


def test_the_drivers_series_say_whose_they_are(prometheus: Prometheus) -> None:
    (series,) = prometheus.series("rlp_updates_total")
    labels = series["metric"]
    assert (labels["namespace"], labels["name"], labels["role"]) == ("watched", WALK, names.HEAD)
    (series,) = prometheus.series('rlp_loss{loss="value_loss"}')
    assert series["metric"]["name"] == WALK


def test_the_operators_series_keep_the_namespaces_of_the_jobs(prometheus: Prometheus) -> None:
    found = {it["metric"]["name"]: it["metric"] for it in prometheus.series("trainingjob_info")}
    assert found.keys() == {WALK, "fall"}
    assert found[WALK]["namespace"] == "watched"
    assert not any(key.startswith("exported_") for it in found.values() for key in it)
