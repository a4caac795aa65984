"""Install, upgrade from an older chart, roll back, uninstall: on a real API server, with nobody behind it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rl_platform.spec.crd import NAME as CRD
from rl_platform.spec.manifest import parse_manifests
from tests.apiserver.control_plane import ControlPlane
from tests.helm.chart import CHART, helm

NAMESPACE = "rl-system"
CRD_PATH = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD}"
SECRET_PATH = f"/api/v1/namespaces/{NAMESPACE}/secrets/rl-platform-token-key"
JOBS_PATH = "/apis/rlplatform.io/v1alpha1/namespaces/default/trainingjobs"
KINDS = (
    "/api/v1/{}/services",
    "/api/v1/{}/serviceaccounts",
    "/api/v1/{}/configmaps",
    "/api/v1/{}/secrets",
    "/apis/apps/v1/{}/deployments",
    "/apis/coordination.k8s.io/v1/{}/leases",
    "/apis/policy/v1/{}/poddisruptionbudgets",
    "/apis/networking.k8s.io/v1/{}/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/{}/roles",
    "/apis/rbac.authorization.k8s.io/v1/{}/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rlplatform.io/v1alpha1/trainingjobs",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: the kind TrainingJob must be the chart's."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not assets:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: make control-plane")
    plane = ControlPlane(Path(assets), tmp_path_factory.mktemp("chart-server"))
    try:
        plane.start()
        plane.create_namespace(NAMESPACE)
        yield plane
    finally:
        plane.stop()


def run(server: ControlPlane, *arguments: str) -> str:
    homes = {f"HELM_{it}_HOME": str(server.folder / "helm") for it in ("CACHE", "CONFIG", "DATA")}
    return helm(
        *arguments, f"--kubeconfig={server.kubeconfig}", f"--namespace={NAMESPACE}", environment=homes
    )


def older_chart(folder: Path) -> Path:
    """The chart as a version before might have been: one field fewer, one Service more."""
    chart = folder / "rl-platform"
    shutil.copytree(CHART, chart)
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.0.1", "appVersion": "0.0.1"}))
    definition_file = chart / "files" / f"{CRD}.yaml"
    definition = yaml.safe_load(definition_file.read_text())
    del status_schema(definition)["traceback"]
    definition_file.write_text(yaml.safe_dump(definition, sort_keys=False))
    (chart / "templates" / "gone.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gone\n  namespace: {{ .Release.Namespace }}\n"
    )
    return chart


def status_schema(definition: dict[str, Any]) -> dict[str, Any]:
    (version,) = definition["spec"]["versions"]
    return dict_of(version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"])


def dict_of(value: Any) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value


def objects(server: ControlPlane) -> set[str]:
    """What is there, without what the API server makes itself. A kind that is not known has none."""
    found = set()
    for kind in KINDS:
        path = kind.format(f"namespaces/{NAMESPACE}")
        server.server.wait_until(lambda path=path: server.request("GET", path)[0] in (200, 404), 60)
        for item in server.request("GET", path)[1].get("items", ()):
            found.add(f"{path.rpartition('/')[2]}/{item['metadata']['name']}")
    return {it for it in found if "/sh.helm.release" not in it}


def test_from_the_first_install_to_the_last_trace(server: ControlPlane, tmp_path: Path) -> None:
    before = objects(server)
    notes = run(server, "install", "rl-platform", str(older_chart(tmp_path)))
    assert "THE KUBERAY OPERATOR IS MISSING" in notes
    server.server.wait_until(lambda: server.request("GET", JOBS_PATH)[0] == 200, 60)
    key = server.request("GET", SECRET_PATH)[1]["data"]["token-key"]
    installed = objects(server)
    assert "configmaps/gone" in installed
    assert "traceback" not in status_schema(server.request("GET", CRD_PATH)[1])

    job = manifest_of(notes)
    status, answer = server.request("POST", f"{JOBS_PATH}?fieldValidation=Strict", job)
    assert status == 201, answer

    lease = "/apis/coordination.k8s.io/v1/namespaces/rl-system/leases/rl-operator"
    led = {"spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}}
    assert server.request("PATCH", lease, led)[0] == 200

    run(server, "upgrade", "rl-platform", str(CHART))
    assert server.request("GET", lease)[1]["spec"]["holderIdentity"] == "one", "an upgrade deposes nobody"
    assert installed - objects(server) == {"configmaps/gone"}
    assert status_schema(server.request("GET", CRD_PATH)[1])["traceback"]["type"] == "string"
    assert server.request("GET", SECRET_PATH)[1]["data"]["token-key"] == key

    run(server, "rollback", "rl-platform", "1")
    assert "configmaps/gone" in objects(server)
    assert server.request("GET", SECRET_PATH)[1]["data"]["token-key"] == key

    run(server, "uninstall", "rl-platform")
    kept = {"secrets/rl-platform-token-key", f"trainingjobs/{job['metadata']['name']}"}
    assert objects(server) - before == kept
    assert server.request("GET", CRD_PATH)[0] == 200

    run(server, "install", "rl-platform", str(CHART))
    assert server.request("GET", SECRET_PATH)[1]["data"]["token-key"] == key, "running jobs would be lost"
    assert f"trainingjobs/{job['metadata']['name']}" in objects(server)


def manifest_of(notes: str) -> dict[str, Any]:
    """The job that the notes tell to apply, held to the models as well."""
    (block,) = re.findall(r"<<'END'\n(.*?)\n +END", notes, re.DOTALL)
    text = "\n".join(line.removeprefix("   ") for line in block.splitlines())
    (job,) = parse_manifests(text)
    return job.model_dump(mode="json", by_alias=True, exclude_unset=True)
