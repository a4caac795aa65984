"""The chart as a user installs it: the operator and the trial MLflow server, in a namespace of their own."""

from __future__ import annotations

import os
from contextlib import ExitStack

from rl_operator.runtime.api import KindMissing
from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.resources import PODS, TRAINING_JOBS, Resource
from rl_platform.spec.crd import custom_resource_definition
from tests.cluster.conftest import DEFINITIONS
from tests.cluster.live_cluster import NAMESPACES, Json, LiveCluster
from tests.cluster.volume_claims import volume_claim
from tests.helm.chart import CHART, helm

NAME = "rlp"
FULL_NAME = f"{NAME}-rl-platform"
MLFLOW = f"{FULL_NAME}-mlflow"
OPERATOR_PODS = f"app.kubernetes.io/instance={NAME},app.kubernetes.io/component=operator"
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
CLAIM = "mlflow"  # lasts longer than the server's pod


class Release:
    """Installed where it is asked for; from scratch: no kind and no job is there before."""

    def __init__(self, transport: ClusterTransport, namespace: str) -> None:
        self.home = LiveCluster(transport, namespace, os.environ["RLP_TEST_OPERATOR_IMAGE"])
        self.installed = False
        self._opened = ExitStack()

    @property
    def mlflow(self) -> str:
        """As jobs reach it."""
        return f"http://{MLFLOW}.{self.home.namespace}.svc.cluster.local:5000"

    def install(self) -> None:
        if self.installed:
            return
        if self.home.api.get(NAMESPACES, None, self.home.namespace) is None:
            self.remove_kind()
            self.home.open()
            self._opened.enter_context(volume_claim(self.home, CLAIM))
        place = f"--namespace={self.home.namespace}"
        helm("install", NAME, str(CHART), place, *self._values(), "--wait", "--timeout=9m", timeout=600)
        self.installed = True

    def uninstall(self) -> None:
        if self.installed:
            helm("uninstall", NAME, f"--namespace={self.home.namespace}", "--wait", timeout=600)
            self.installed = False

    def close(self) -> None:
        self.uninstall()
        self._opened.close()
        self.home.close()

    def operators(self) -> list[Json]:
        found = self.home.api.list(PODS, self.home.namespace, label_selector=OPERATOR_PODS).items
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def _values(self) -> list[str]:
        given = {
            "mlflow.trial.enabled": "true",
            "mlflow.trial.persistence.enabled": "true",
            "mlflow.trial.persistence.existingClaim": CLAIM,
            "mlflow.trial.resources.requests.cpu": "50m",
            "resources.requests.cpu": "50m",
        }
        return [*(f"--set={name}={value}" for name, value in given.items()), *image_values()]

    def remove_kind(self) -> None:
        """One that other tests left, which Helm would not take over."""
        api, name = self.home.api, custom_resource_definition()["metadata"]["name"]
        found = api.get(DEFINITIONS, None, name)
        if found is None:
            return
        try:
            left = api.list(TRAINING_JOBS).items
        except KindMissing:
            left = []
        assert not left, "the cluster has TrainingJobs; these tests begin with one that has none"
        api.delete(DEFINITIONS, None, name, uid=found["metadata"]["uid"])
        self.home.wait_for("the kind is gone", lambda: api.get(DEFINITIONS, None, name) is None)


def image_values() -> list[str]:
    """Where the images of this run are, for Helm."""
    given = {}
    for name, variable in (("image", "RLP_TEST_OPERATOR_IMAGE"), ("trainingImage", "RLP_TEST_IMAGE")):
        given[f"{name}.repository"], _, given[f"{name}.tag"] = os.environ[variable].rpartition(":")
    return [f"--set={name}={value}" for name, value in given.items()]
