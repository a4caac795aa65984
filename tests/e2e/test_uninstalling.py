"""``helm uninstall`` leaves the kind, the users' jobs with all that belongs to them, and the key."""

from __future__ import annotations

from rl_operator.runtime.api import ApiError
from rl_operator.runtime.resources import TRAINING_JOBS, Resource
from tests.cluster.conftest import DEFINITIONS
from tests.cluster.live_cluster import LiveCluster, steps
from tests.cluster.slow_jobs import ENDLESS, slow_job
from tests.e2e.release import FULL_NAME, NAME, Release

SECONDS_TO_TRAIN = 600.0
OF_A_RELEASE = (
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource("", "v1", "services", "Service"),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "pods", "Pod"),
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("apps", "v1", "replicasets", "ReplicaSet"),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole"),
    Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "Webhook"),
    DEFINITIONS,
)


def of_release(cluster: LiveCluster) -> list[str]:
    """Everything in the cluster that carries the release's label."""
    found = []
    for resource in OF_A_RELEASE:
        try:
            items = cluster.api.list(resource, label_selector=f"app.kubernetes.io/instance={NAME}").items
        except ApiError as error:
            raise AssertionError(f"{resource.plural}: {error}") from error
        found += [f"{resource.kind} {it['metadata']['name']}" for it in items]
    return sorted(found)


def test_jobs_and_kind_stay_and_nothing_else(release: Release, jobs: LiveCluster) -> None:
    jobs.create(TRAINING_JOBS, slow_job("kept", jobs.image, stop=ENDLESS))
    jobs.wait("kept", lambda status: steps(status) > 0, SECONDS_TO_TRAIN)
    children, (head,) = jobs.children("kept"), jobs.pods("kept")
    assert len(of_release(release.home)) > 10

    release.uninstall()
    release.home.wait_for("pods are gone", lambda: not any(it.startswith("Pod ") for it in of_release(jobs)))
    kind = "CustomResourceDefinition trainingjobs.rlplatform.io"
    assert of_release(release.home) == [kind, f"Secret {FULL_NAME}-token-key"]
    assert jobs.children("kept") == children
    assert [it["metadata"]["uid"] for it in jobs.pods("kept")] == [head["metadata"]["uid"]]
