"""Every alert fires when it should and is silent when it should: Prometheus' own rule tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from helm.authoring.observability import AlertName
from tests.contracts.source_files import ROOT
from tests.helm.chart import CHART, only, render
from tests.helm.prometheus_programs import promtool

ALERTS = CHART / "files" / "alerts.yaml"
JOB = 'namespace="rl", name="walk"'


def job(metric: str, more: str = "") -> str:
    return f"{metric}{{{JOB}{more and ', '}{more}}}"


TRAINS = {job("trainingjob_status_condition", 'condition="Training", status="True"'): "1x300"}
QUEUE = 'name="trainingjob", controller="trainingjob"'


@dataclass(frozen=True)
class Case:
    """Series as promtool writes them, one value a minute, looked at in minute ``at``."""

    at: int
    fires: dict[str, str]
    silent: dict[str, str]


def errors(failed: str) -> dict[str, str]:
    """Passes of the operator a minute, and how many of them failed."""
    name, of = "controller_runtime_reconcile", '{controller="trainingjob"}'
    return {f"{name}_total{of}": "0+60x60", f"{name}_errors_total{of}": failed}


def calls(refused: str) -> dict[str, str]:
    return {
        'rest_client_requests_total{code="200", method="GET", host="a"}': "0+60x60",
        'rest_client_requests_total{code="503", method="GET", host="a"}': refused,
    }


CASES = {
    "TrainingJobStuck": Case(
        at=40,
        fires={**TRAINS, job("trainingjob_last_env_steps"): "0+100x20 2000x100"},
        silent={**TRAINS, job("trainingjob_last_env_steps"): "0+100x100"},
    ),
    "TrainingJobFailed": Case(
        at=1,
        fires={job("trainingjob_status_condition", 'condition="Succeeded", status="False"'): "1x5"},
        silent={job("trainingjob_status_condition", 'condition="Succeeded", status="Unknown"'): "1x5"},
    ),
    "TrainingJobThroughputDrop": Case(
        at=145,
        fires={**TRAINS, job("trainingjob_last_env_steps_per_second"): "1000x120 100x40"},
        silent={**TRAINS, job("trainingjob_last_env_steps_per_second"): "1000x120 600x40"},
    ),
    "TrainingJobNotANumber": Case(
        at=5,
        fires={job("rlp_loss", 'policy="default", loss="value_loss"'): "0.5 NaN NaN NaN NaN NaN"},
        silent={job("rlp_loss", 'policy="default", loss="value_loss"'): "0.5 -0.5 0 1 1 1"},
    ),
    "TrainingJobCheckpointStale": Case(
        at=50,
        fires={**TRAINS, job("rlp_checkpoint_timestamp_seconds"): "600x300"},
        silent={**TRAINS, job("rlp_checkpoint_timestamp_seconds"): "0+60x300"},
    ),
    "RlOperatorDown": Case(
        at=10,
        fires={"up": "0x20"},
        silent={'leader_election_master_status{name="rl-operator", pod="a"}': "0x20"},
    ),
    "RlOperatorNoLeader": Case(
        at=10,
        fires={'leader_election_master_status{name="rl-operator", pod="a"}': "0x20"},
        silent={
            'leader_election_master_status{name="rl-operator", pod="a"}': "0x20",
            'leader_election_master_status{name="rl-operator", pod="b"}': "1x20",
        },
    ),
    "RlOperatorReconcileErrors": Case(at=40, fires=errors("0+12x60"), silent=errors("0+3x60")),
    "RlOperatorReconcileStuck": Case(
        at=12,
        fires={f"workqueue_longest_running_processor_seconds{{{QUEUE}}}": "0+60x20"},
        silent={f"workqueue_longest_running_processor_seconds{{{QUEUE}}}": "0 60 120 180 0x20"},
    ),
    "RlOperatorWorkqueueDepth": Case(
        at=20,
        fires={f"workqueue_depth{{{QUEUE}}}": "200x30"},
        silent={f"workqueue_depth{{{QUEUE}}}": "50x30"},
    ),
    "RlOperatorWatchStale": Case(
        at=20,
        fires={'rl_operator_informer_last_event_age_seconds{informer="pods"}': "0+60x30"},
        silent={
            'rl_operator_informer_last_event_age_seconds{informer="rayclusters"}': "0+60x30",
            'rl_operator_informer_missing{informer="rayclusters"}': "1x30",
        },
    ),
    "RlOperatorApiErrors": Case(at=40, fires=calls("0+12x60"), silent=calls("0+1x60")),
}

MORE = [
    (  # that never saved anything
        "TrainingJobCheckpointStale",
        Case(
            at=40,
            fires=TRAINS,
            silent={job("trainingjob_status_condition", 'condition="Training", status="True"'): "0x20 1x300"},
        ),
    ),
    (  # that only began to train
        "TrainingJobStuck",
        Case(
            at=37,
            fires={**TRAINS, job("trainingjob_last_env_steps"): "0x300"},
            silent={
                job("trainingjob_status_condition", 'condition="Training", status="True"'): "_x30 1x300",
                job("trainingjob_last_env_steps"): "_x30 0x300",
            },
        ),
    ),
    (  # of several releases
        "RlOperatorNoLeader",
        Case(
            at=10,
            fires={
                'leader_election_master_status{name="rl-operator", namespace="a"}': "1x20",
                'leader_election_master_status{name="rl-operator", namespace="b"}': "0x20",
            },
            silent={
                'leader_election_master_status{name="rl-operator", namespace="a"}': "1x20",
                'leader_election_master_status{name="rl-operator", namespace="b"}': "1x20",
            },
        ),
    ),
]


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_can_be_switched_off_and_has_a_case() -> None:
    names = [it["alert"] for it in alerts()]
    assert sorted(names) == sorted(get_args(AlertName))
    assert sorted(names) == sorted(CASES)


def test_every_alert_says_how_bad_it_is_and_what_it_is() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert alert["annotations"].keys() == {"summary", "description"}


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", str(ALERTS))


def test_prometheus_takes_the_scrape_configuration(tmp_path: Path) -> None:
    file = ROOT / "helm" / "prometheus" / "scrape-configs.yaml"
    (tmp_path / "prometheus.yml").write_text(f"scrape_config_files: [{file}]\nrule_files: [{ALERTS}]\n")
    promtool("check", "config", "--syntax-only", str(tmp_path / "prometheus.yml"))


@pytest.mark.parametrize(("alert", "case"), [*CASES.items(), *MORE])
def test_the_alert_fires_when_it_should_and_not_otherwise(alert: str, case: Case, tmp_path: Path) -> None:
    tests = [_test(alert, case.at, case.fires, "1"), _test(alert, case.at, case.silent, None)]
    document = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(tmp_path / "rules.yaml"))


def _test(alert: str, at: int, series: dict[str, str], expected: str | None) -> dict[str, Any]:
    samples = [{"labels": "{}", "value": 1}] if expected else []
    query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{at}m", "exp_samples": samples}],
    }


def test_the_rule_of_the_chart_has_what_the_values_say() -> None:
    rule = only(render("everything"), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    rules = [it for group in rule["spec"]["groups"] for it in group["rules"]]
    names = {it["alert"] for it in alerts()}
    assert {it["alert"] for it in rules} == names - {"RlOperatorApiErrors"}
    for each in rules:
        assert each["labels"] == {"severity": "page", "team": "robots"}
        url = f"https://example.com/operations.md#{each['alert'].lower()}"
        assert each["annotations"]["runbook_url"] == url


def test_without_values_the_rule_is_the_file(tmp_path: Path) -> None:
    rule = only(render("named"), "PrometheusRule")
    assert rule["spec"]["groups"] == yaml.safe_load(ALERTS.read_text())["groups"]
