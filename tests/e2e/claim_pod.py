"""A pod that runs a line of Python where a claim is mounted: how tests look at volumes of any cluster."""

from __future__ import annotations

from uuid import uuid4

from rl_operator.runtime.resources import PODS
from rl_operator.runtime.transport import Request
from tests.cluster.live_cluster import LiveCluster
from tests.cluster.slow_jobs import CHECKPOINTS

NO_ROOT = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}


def run_on_claim(jobs: LiveCluster, claim: str, script: str) -> str:
    """What the script writes."""
    name = f"look-{uuid4().hex[:8]}"
    container = {
        "name": "look",
        "image": jobs.image,
        "command": ["python3", "-c", script],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "claim", "mountPath": CHECKPOINTS}],
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": NO_ROOT,
        "containers": [container],
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}],
    }
    made = jobs.create(PODS, {"metadata": {"name": name}, "spec": spec})

    def phase() -> str:
        return str((jobs.api.get(PODS, jobs.namespace, name) or {}).get("status", {}).get("phase"))

    jobs.wait_for(f"{name} has ended", lambda: phase() in ("Succeeded", "Failed"))
    log = jobs.transport.send(Request("GET", PODS.path(jobs.namespace, name, "log"))).body.decode()
    assert phase() == "Succeeded", log
    jobs.api.delete(PODS, jobs.namespace, name, uid=made["metadata"]["uid"])
    return log
