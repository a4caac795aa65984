"""Whatever the values: every document is what Kubernetes takes, named and labelled as it should be."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rl_operator import names
from rl_platform.spec.crd import custom_resource_definition
from rl_platform.spec.manifest import as_job
from tests.contracts.source_files import ROOT
from tests.helm.chart import CHART, NAMESPACE, RELEASE, Document, only, pod_templates, render, value_files

SERVED = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
WITHOUT_SCHEMA = {"CustomResourceDefinition", "ServiceMonitor", "PodMonitor", "PrometheusRule"}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
# api.md of the Prometheus operator, v1: what may stand in an endpoint.
ENDPOINT = {"port", "path", "interval", "scrapeTimeout", "honorLabels", "relabelings", "metricRelabelings"}
EVERY = value_files()


def test_the_oldest_kubernetes_that_is_tried_is_the_oldest_that_is_taken() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={SERVED[0]}.0-0"


def test_what_artifact_hub_shows_is_true() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    about = {key.removeprefix("artifacthub.io/"): value for key, value in chart["annotations"].items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == chart["appVersion"]
    assert project["license"] == about["license"]
    images = {it["image"] for it in yaml.safe_load(about["images"])}
    assert images == {f"rl-platform/{it}:{chart['appVersion']}" for it in ("operator", "training")}
    (kind,) = yaml.safe_load(about["crds"])
    definition = custom_resource_definition()
    assert kind["name"] == definition["metadata"]["name"]
    assert kind["version"] == definition["spec"]["versions"][0]["name"]
    for example in yaml.safe_load(about["crdsExamples"]):
        as_job(example)


@pytest.mark.parametrize("version", SERVED)
@pytest.mark.parametrize("values", EVERY)
def test_kubernetes_takes_every_document(values: str, version: str) -> None:
    for document in render(values):
        if document["kind"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_would_be_seen() -> None:
    deployment = only(render(), "Deployment")
    wrong = {**deployment, "spec": {**deployment["spec"], "replcas": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, SERVED[-1], strict=True)


@pytest.mark.parametrize("values", EVERY)
def test_every_document_says_whose_it_is(values: str) -> None:
    for document in render(values):
        metadata = document["metadata"]
        if "extra" in metadata["name"]:
            continue
        labels = metadata["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "rl-platform"
        assert ("namespace" in metadata) != (document["kind"] in CLUSTER_WIDE)
        if values == "everything":
            assert labels["team"] == "robots"


@pytest.mark.parametrize("values", EVERY)
@pytest.mark.parametrize("release", ["r", "a-release-with-a-name-of-fifty-three-characters-01234"])
def test_names_and_label_values_fit(values: str, release: str) -> None:
    for document in render(values, release=release):
        name = document["metadata"]["name"]
        assert len(name) <= 63
        assert not name.endswith("-")
        for value in document["metadata"].get("labels", {}).values():
            assert re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value), value


@pytest.mark.parametrize("values", EVERY)
def test_nothing_is_there_twice(values: str) -> None:
    seen = [(it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]) for it in render(values)]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("values", EVERY)
def test_selectors_find_the_pods_they_are_for_and_no_others(values: str) -> None:
    found = render(values)
    pods = {name: template["metadata"]["labels"] for name, template in pod_templates(found)}
    selectors = {
        (it["kind"], it["metadata"]["name"]): selector
        for it in found
        if (selector := _selector(it)) is not None
    }
    assert selectors
    for (kind, name), selector in selectors.items():
        matched = [pod for pod, labels in pods.items() if selector.items() <= labels.items()]
        assert matched == [name.removesuffix("-metrics")], (kind, name)


def _selector(document: Document) -> dict[str, str] | None:
    spec: dict[str, Any] = document.get("spec", {})
    match document["kind"]:
        case "Service":
            return dict(spec["selector"])
        case "Deployment" | "PodDisruptionBudget" | "ServiceMonitor":
            return dict(spec["selector"]["matchLabels"])
        case "NetworkPolicy":
            return dict(spec["podSelector"]["matchLabels"])
    return None


def test_one_replica_has_no_disruption_budget_and_several_have_one() -> None:
    assert not [it for it in render("single") if it["kind"] == "PodDisruptionBudget"]
    assert only(render("nothing"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(("values", "kept"), [("nothing", True), ("single", False)])
def test_the_kind_is_the_generated_one_and_is_kept(values: str, kept: bool) -> None:
    definition = only(render(values), "CustomResourceDefinition")
    expected = custom_resource_definition()
    assert definition["spec"] == expected["spec"]
    assert definition["metadata"]["name"] == expected["metadata"]["name"]
    annotations = definition["metadata"].get("annotations", {})
    assert (annotations.get("helm.sh/resource-policy") == "keep") == kept


def test_the_kind_can_be_left_to_others() -> None:
    assert not [it for it in render("namespaced") if it["kind"] == "CustomResourceDefinition"]


def test_monitors_name_ports_that_exist_and_fields_that_the_prometheus_operator_knows() -> None:
    found = render("everything")
    service = only(found, "ServiceMonitor")
    assert service["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = service["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in _metrics_service(found)["spec"]["ports"]}
    assert endpoint["honorLabels"] is True
    pods = only(found, "PodMonitor")
    assert pods["spec"]["selector"]["matchLabels"] == {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    assert [it["port"] for it in pods["spec"]["podMetricsEndpoints"]] == ["driver", "metrics"]
    for each in (endpoint, *pods["spec"]["podMetricsEndpoints"]):
        assert each.keys() <= ENDPOINT
    assert pods["spec"]["namespaceSelector"] == {"any": True}


def test_a_monitor_looks_where_the_operator_does() -> None:
    monitor = only(render("namespaced"), "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def _metrics_service(found: tuple[Document, ...]) -> Document:
    return next(it for it in found if it["kind"] == "Service" and it["metadata"]["name"].endswith("-metrics"))


def test_the_trial_server_answers_to_its_service_and_to_what_was_added() -> None:
    deployment = only(render("everything"), "Deployment", f"{RELEASE}-rl-platform-mlflow")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    values = {it["name"]: it["value"] for it in container["env"]}
    service = f"{RELEASE}-rl-platform-mlflow"
    hosts = values["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    for host in (
        service,
        f"{service}.{NAMESPACE}",
        f"{service}.{NAMESPACE}.svc",
        f"{service}.{NAMESPACE}.svc.cluster.local",
        "localhost",
        "mlflow.example.com",
    ):
        assert {host, f"{host}:*"} <= set(hosts)


def test_the_trial_server_is_off_unless_asked_for() -> None:
    assert [name for name, _ in pod_templates(render())] == [
        f"{RELEASE}-rl-platform",
        f"{RELEASE}-rl-platform-test",
    ]


def test_objects_of_ones_own_are_templates() -> None:
    found = render("everything")
    assert only(found, "ConfigMap", "extra-map")["metadata"]["labels"] == {"release": RELEASE}
    assert only(found, "ConfigMap", f"{RELEASE}-rl-platform-extra")
