"""An S3-compatible server in the cluster: SeaweedFS, from the image that is built beside this file."""

from __future__ import annotations

from base64 import b64encode

from rl_operator.runtime.resources import SECRETS, Resource
from tests.cluster.live_cluster import Json, LiveCluster
from tests.e2e.claim_pod import NO_ROOT
from tests.e2e.port_forward import forwarded

NAME, BUCKET, PORT = "object-store", "runs", 8333
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester-secret"}
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
SERVICES = Resource("", "v1", "services", "Service")


class ObjectStore:
    """With its data on a claim, so that it may be away for a while."""

    def __init__(self, jobs: LiveCluster, image: str, claim: str) -> None:
        self.jobs = jobs
        data = {key: b64encode(value.encode()).decode() for key, value in KEYS.items()}
        jobs.create(SECRETS, {"metadata": {"name": NAME}, "data": data})
        labels = {"app": NAME}
        template = {"metadata": {"labels": labels}, "spec": _pod(image, claim)}
        spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}}
        jobs.create(DEPLOYMENTS, {"metadata": {"name": NAME}, "spec": spec | {"template": template}})
        ports = [{"port": PORT, "targetPort": PORT}]
        jobs.create(SERVICES, {"metadata": {"name": NAME}, "spec": {"selector": labels, "ports": ports}})
        self.wait()
        self._make_bucket()

    @property
    def environment(self) -> list[Json]:
        """Variables of jobs that keep checkpoints here."""
        secrets = [{"name": key, "secret": {"name": NAME, "key": key}} for key in KEYS]
        address = {"name": "AWS_ENDPOINT_URL", "value": f"http://{NAME}:{PORT}"}
        return [*secrets, address, {"name": "AWS_REGION", "value": "us-east-1"}]

    def scale(self, replicas: int) -> None:
        scale(self.jobs, NAME, replicas)

    def wait(self) -> None:
        wait_ready(self.jobs, NAME)

    def _make_bucket(self) -> None:
        from pyarrow.fs import S3FileSystem

        with forwarded(self.jobs.namespace, f"svc/{NAME}", PORT) as endpoint:
            files = S3FileSystem(
                access_key=KEYS["AWS_ACCESS_KEY_ID"],
                secret_key=KEYS["AWS_SECRET_ACCESS_KEY"],
                endpoint_override=endpoint,
                region="us-east-1",
                allow_bucket_creation=True,
            )
            files.create_dir(BUCKET)


def scale(cluster: LiveCluster, deployment: str, replicas: int) -> None:
    """And wait until it is so."""
    cluster.api.merge_patch(
        DEPLOYMENTS, cluster.namespace, deployment, {"spec": {"replicas": replicas}}, subresource="scale"
    )
    if replicas:
        wait_ready(cluster, deployment)
    else:
        cluster.wait_for(f"{deployment} is away", lambda: not _status(cluster, deployment).get("replicas"))


def wait_ready(cluster: LiveCluster, deployment: str) -> None:
    cluster.wait_for(f"{deployment} is ready", lambda: _status(cluster, deployment).get("readyReplicas"))


def _status(cluster: LiveCluster, deployment: str) -> Json:
    return dict((cluster.api.get(DEPLOYMENTS, cluster.namespace, deployment) or {}).get("status", {}))


def _pod(image: str, claim: str) -> Json:
    container = {
        "name": NAME,
        "image": image,
        "env": [{"name": key, "valueFrom": {"secretKeyRef": {"name": NAME, "key": key}}} for key in KEYS],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "securityContext": NO_ROOT,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
    }
