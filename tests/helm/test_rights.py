"""The operator at work with exactly the rights that the chart gives it, on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_operator.runtime.resources import RAY_CLUSTERS, TRAINING_JOBS
from rl_platform.spec.crd import custom_resource_definition
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD
from tests.helm.chart import CHART, Document, documents, helm
from tests.rl_operator.operator_process import OperatorProcess
from tests.rl_operator.runtime.samples import eventually

GROUP = "rbac.authorization.k8s.io"
TOKEN = "operator"  # rl-operator in rl-platform, as the control plane of the tests knows it
JOB = {
    "environment": {"id": "CartPole-v1"},
    "algorithm": {"ppo": {}},
    "stop": {"envSteps": 1000},
}


@pytest.mark.parametrize("everywhere", [True, False], ids=["everywhere", "one-namespace"])
def test_it_makes_what_a_job_needs_and_is_refused_nothing(
    everywhere: bool, api_server: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    for definition in (custom_resource_definition(), FREE_RAY_CLUSTER_CRD):
        api_server.install_crd(definition)
    granted = grants(namespace, everywhere)
    for document in granted:
        create(api_server, document)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(api_server.kubeconfig_for(TOKEN))
    flags = ["--operator-namespace", "rl-platform", *([] if everywhere else ["--namespaces", namespace])]
    try:
        with OperatorProcess(kubeconfig, tmp_path / "operator", *flags) as operator:
            operator.wait_ready()
            eventually(operator.leads)
            body = {
                "apiVersion": TRAINING_JOBS.api_version,
                "kind": TRAINING_JOBS.kind,
                "metadata": {"name": "walk"},
                "spec": JOB,
            }
            status, answer = api_server.request("POST", TRAINING_JOBS.path(namespace), body)
            assert status == 201, answer
            clusters = RAY_CLUSTERS.path(namespace)
            eventually(lambda: api_server.request("GET", clusters)[1]["items"])
            events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
            eventually(lambda: api_server.request("GET", events)[1]["items"])
            job = TRAINING_JOBS.path(namespace, "walk")
            eventually(lambda: api_server.request("GET", job)[1]["status"]["phase"] == "Provisioning")
            assert operator.metric('rest_client_requests_total{code="403"') == 0
            assert operator.terminate() == 0
        assert "orbidden" not in operator.log.read_text()
    finally:
        for document in granted:
            api_server.request("DELETE", path(document, document["metadata"]["name"]))


def grants(namespace: str, everywhere: bool) -> list[Document]:
    """What the chart renders of roles and bindings."""
    values = ["--set=fullnameOverride=rl-operator", "--set=rbac.aggregate=false"]
    if not everywhere:
        values.append(f"--set=namespaces[0]={namespace}")
    text = helm("template", "rl-operator", str(CHART), "--namespace=rl-platform", *values)
    return [it for it in documents(text) if it["apiVersion"].startswith(GROUP)]


def create(server: ControlPlane, document: Document) -> None:
    place = document["metadata"].get("namespace")
    if place and server.request("GET", f"/api/v1/namespaces/{place}")[0] == 404:
        server.create_namespace(place)
    status, answer = server.request("POST", path(document), document)
    assert status == 201, answer


def path(document: Document, name: str = "") -> str:
    place = document["metadata"].get("namespace")
    within = f"/namespaces/{place}" if place else ""
    return f"/apis/{GROUP}/v1{within}/{document['kind'].lower()}s" + (f"/{name}" if name else "")
