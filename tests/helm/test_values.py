"""What Helm takes as values and what it refuses, and that the generated files are what the models say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from helm.authoring.values import SET_BY_THE_CHART, Values
from helm.authoring.write import CHART, GENERATED
from rl_operator.settings import Settings
from tests.helm.chart import HelmFailed, helm, only, pod_templates, render, value_files


@pytest.mark.parametrize("name", GENERATED)
def test_the_generated_files_are_what_the_models_say(name: str) -> None:
    assert (CHART / name).read_text() == GENERATED[name](), "run make chart"


def test_values_yaml_reads_back_as_the_models_defaults() -> None:
    assert Values.model_validate(yaml.safe_load((CHART / "values.yaml").read_text())) == Values()


def test_every_value_says_what_it_is_for() -> None:
    assert [path for path, field in fields(Values, "") if not field.description] == []


def fields(model: type[BaseModel], above: str) -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        path = f"{above}{info.alias or name}"
        yield path, info
        if is_map(info.annotation):
            yield from fields(info.annotation, f"{path}.")


def is_map(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@pytest.mark.parametrize("name", ["", *value_files()])
def test_helm_lints_it_strictly(name: str) -> None:
    values = ["--values", f"tests/helm/values/{name}.yaml"] if name else []
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *values)


MAPS = [path for path, field in fields(Values, "") if is_map(field.annotation) and path != "global"]


@pytest.mark.parametrize("path", ["", *MAPS])
def test_a_name_that_is_not_known_is_refused(path: str) -> None:
    with pytest.raises(HelmFailed, match=r"additional properties 'replcas' not allowed"):
        render(sets=(f"{path}.replcas=2" if path else "replcas=2",))


@pytest.mark.parametrize(
    "bad",
    [
        {"replicas": 0},
        {"replicas": "two"},
        {"image": {"pullPolicy": "Sometimes"}},
        {"image": {"repository": ""}},
        {"image": {"digest": "sha256:short"}},
        {"settings": {"logLevel": "loud"}},
        {"settings": {"concurrency": 0}},
        {"settings": {"concurrency": 1.5}},
        {"namespaces": ["Upper"]},
        {"metrics": {"serviceMonitor": {"interval": "often"}}},
        {"metrics": {"rules": {"disabled": ["NoSuchAlert"]}}},
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        {"nodeSelector": {"a": 1}},
        {"networkPolicy": {"apiServerPorts": [70000]}},
        {"fullnameOverride": "x" * 41},
    ],
    ids=lambda bad: json.dumps(bad)[:60],
)
def test_a_bad_value_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(HelmFailed, match="values don't meet the specifications of the schema"):
        render(json.dumps(bad))


def test_values_of_a_parent_chart_are_taken() -> None:
    render(sets=("enabled=true", "global.theirs.too=1"))


@pytest.mark.parametrize("name", value_files())
def test_the_operators_settings_read_what_the_chart_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every RLP_OPERATOR_ variable is a field of the settings, with a value that they accept."""
    container = operator(name)
    variables = {it["name"]: it.get("value", "from-a-field") for it in container["env"]}
    given = {
        name.removeprefix("RLP_OPERATOR_").lower(): value
        for name, value in variables.items()
        if name.startswith("RLP_OPERATOR_")
    }
    assert given.keys() <= Settings.model_fields.keys()
    assert Settings.model_fields.keys() - given.keys() <= SET_BY_THE_CHART
    Settings.model_validate({**given, "token_key": b"0" * 32})


def test_large_numbers_reach_the_operator_as_whole_ones() -> None:
    values = {it["name"]: it.get("value") for it in operator("everything")["env"]}
    assert values["RLP_OPERATOR_BURST"] == "1000000"
    assert values["RLP_OPERATOR_QPS"] == "0.5"
    assert values["RLP_OPERATOR_PROVISIONING_DEADLINE_SECONDS"] == "2000000"


def operator(name: str) -> dict[str, Any]:
    """Its container."""
    containers = [pod["spec"]["containers"][0] for _, pod in pod_templates(render(name))]
    return next(it for it in containers if it["name"] == "operator")


def test_images_by_digest_registry_and_tag() -> None:
    assert operator("single")["image"] == f"rl-platform/operator@sha256:{'a' * 64}"
    assert operator("everything")["image"] == "registry.example.com:5000/rl/operator:1.2"
    training = next(it for it in operator("everything")["env"] if it["name"] == "RLP_OPERATOR_IMAGE")
    assert training["value"] == "other.example.com/rl-platform/training:cuda"
    mlflow = only(render("single"), "Deployment", "trial-rl-platform-mlflow")
    assert mlflow["spec"]["template"]["spec"]["containers"][0]["image"].endswith("@sha256:" + "b" * 64)


def test_no_port_at_all_is_refused_as_it_would_open_every_one() -> None:
    with pytest.raises(HelmFailed, match="apiServerPorts"):
        helm("template", "rl", str(CHART), "--set-json=networkPolicy.apiServerPorts=[]")


@pytest.mark.parametrize(
    "left_empty",
    [
        "podLabels:",
        "metrics: {serviceMonitor: {enabled: true, labels: }, podMonitor: {enabled: true, labels: }}",
        "metrics: {rules: {enabled: true, labels: , alertLabels: }, dashboard: {enabled: true, labels: }}",
        "mlflow: {trial: {enabled: true, allowedHosts: }}",
    ],
)
def test_a_map_of_which_every_entry_is_commented_out_is_empty(left_empty: str, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(left_empty + "\n")
    values = f"--values={tmp_path / 'values.yaml'}"
    assert helm("template", "rl", str(CHART), values, "--api-versions=monitoring.coreos.com/v1")


def test_a_release_may_have_a_number_for_a_name() -> None:
    made = [it for it in yaml.safe_load_all(helm("template", "123", str(CHART))) if it]
    assert {it["metadata"]["labels"]["app.kubernetes.io/instance"] for it in made} == {"123"}
