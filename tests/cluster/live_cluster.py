"""A cluster as the tests see it: what they make in a namespace of their own, and waiting for what follows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from rl_operator.names import logs_name
from rl_operator.runtime.api import Api, ApiError
from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.resources import (
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    PODS,
    RAY_CLUSTERS,
    SECRETS,
    TRAINING_JOBS,
    Resource,
)
from rl_operator.runtime.transport import Request
from tests.cluster.slow_jobs import ENVIRONMENT, modules

Json = dict[str, Any]
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
CHILDREN = (RAY_CLUSTERS, PODS, SECRETS, CONFIG_MAPS, NETWORK_POLICIES, DISRUPTION_BUDGETS)
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
WAIT_SECONDS = 300.0  # a busy machine is no bug
LOOK_SECONDS = 0.5


class LiveCluster:
    """One namespace, which enforces Pod Security "restricted"."""

    def __init__(self, transport: ClusterTransport, namespace: str, image: str) -> None:
        self.transport, self.namespace, self.image = transport, namespace, image
        self.api = Api(transport)

    def open(self) -> None:
        """Make the namespace, and the environment that jobs in it use."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.create(NAMESPACES, {"metadata": metadata}, namespaced=False)
        self.create(CONFIG_MAPS, {"metadata": {"name": ENVIRONMENT}, "data": modules()})

    def close(self) -> None:
        found = self.api.get(NAMESPACES, None, self.namespace)
        if found is not None:
            self.api.delete(NAMESPACES, None, self.namespace, uid=found["metadata"]["uid"])

    def create(self, resource: Resource, body: Json, *, namespaced: bool = True) -> Json:
        document = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return self.api.create(resource, self.namespace if namespaced else None, document)

    def job(self, name: str) -> Json:
        """Empty where there is none."""
        return self.api.get(TRAINING_JOBS, self.namespace, name) or {}

    def status(self, name: str) -> Json:
        return dict(self.job(name).get("status", {}))

    def logs(self, name: str) -> dict[str, str]:
        """What is kept of the ends of its drivers' logs, by attempt."""
        kept = logs_name(name, self.job(name)["metadata"]["uid"])
        return dict((self.api.get(CONFIG_MAPS, self.namespace, kept) or {}).get("data", {}))

    def change(self, name: str, spec: Mapping[str, Any]) -> None:
        self.api.merge_patch(TRAINING_JOBS, self.namespace, name, {"spec": spec})

    def pods(self, name: str, role: str = "head") -> list[Json]:
        """Of a job, without those that are being deleted."""
        selector = f"rlplatform.io/job={name},rlplatform.io/role={role}"
        found = self.api.list(PODS, self.namespace, label_selector=selector).items
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def children(self, name: str) -> dict[str, list[str]]:
        """Everything of a job that is left, by kind."""
        left = {}
        for resource in CHILDREN:
            found = self.api.list(resource, self.namespace, label_selector=f"rlplatform.io/job={name}").items
            if found:
                left[resource.kind] = [each["metadata"]["name"] for each in found]
        return left

    def holds(self, name: str) -> bool:
        """Whether resources of the cluster are taken."""
        return bool({RAY_CLUSTERS.kind, PODS.kind} & self.children(name).keys())

    def delete(self, resource: Resource, name: str) -> None:
        found = self.api.get(resource, self.namespace, name)
        assert found is not None, f"there is no {resource.kind} {name}"
        self.api.delete(resource, self.namespace, name, uid=found["metadata"]["uid"])

    def evict(self, pod: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = PODS.path(self.namespace, pod, "eviction")
        answer = self.transport.send(Request("POST", path, body=json.dumps(body).encode()))
        assert answer.status == 201, answer.body

    def wait(self, name: str, holds: Callable[[Json], Any], seconds: float = WAIT_SECONDS) -> Json:
        """The job's status, once something holds of it; what was there instead is in the failure."""
        until = time.monotonic() + seconds
        status: Json = {}
        while time.monotonic() < until:
            try:
                status = self.status(name)
                if holds(status):
                    return status
                if "completionTime" in status:
                    break  # it will not come so far any more
            except ApiError:
                pass  # a busy server is asked again
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"{name} did not come so far: {json.dumps(status, indent=1)}")

    def wait_for(self, what: str, holds: Callable[[], Any], seconds: float = WAIT_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise AssertionError(f"{what}: not within {seconds:g} s")
            time.sleep(LOOK_SECONDS)


def condition(status: Mapping[str, Any], kind: str) -> Json:
    """Empty where there is none of this type."""
    return next((dict(each) for each in status.get("conditions", ()) if each["type"] == kind), {})


def phase(*phases: str) -> Callable[[Json], bool]:
    return lambda status: status.get("phase") in phases


def steps(status: Mapping[str, Any]) -> int:
    return int(status.get("progress", {}).get("envSteps", 0))
