"""The children of a job: what should exist for it. A function of the job and the settings alone.

Everything carries the job as its owner, so deleting the job takes it along without the operator.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from rl_operator import names
from rl_operator.decision import Create
from rl_operator.observed import Job, Pod
from rl_operator.pod_overrides import Refused
from rl_operator.pod_template import BUILDER_VERSION, head_group, learner_group, rollouts_group
from rl_operator.runtime.resources import (
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    RAY_CLUSTERS,
    SECRETS,
    TRAINING_JOBS,
    Resource,
)
from rl_operator.settings import Settings
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import ATTEMPT_ENV, DESIRED_ENV, HEAD_UID_ENV, IMAGE_ENV, Desired
from rl_platform.spec.training_job import TrainingJobSpec

__all__ = ["Refused", "children", "driver_environment", "log_config_map"]

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"


def children(job: Job, spec: TrainingJobSpec, settings: Settings) -> tuple[Create, ...]:
    """In the order in which they are made: the cluster last, so that it never waits for one of the others.

    Raises Refused where the job asks for what it may not have.
    """
    if job.namespace == settings.operator_namespace:
        text = f"metadata.namespace: {job.namespace} is the operator's own, and its secrets are there"
        raise Refused(f"{text}; use another namespace")
    cluster = ray_cluster(job, spec, settings)
    made = [
        (CONFIG_MAPS, _job_file(job, spec)),
        (SECRETS, _token(job, settings)),
        (NETWORK_POLICIES, _network_policy(job, settings)),
        (DISRUPTION_BUDGETS, _disruption_budget(job, spec)),
        (RAY_CLUSTERS, cluster),
    ]
    return tuple(Create(resource, job.namespace, body) for resource, body in made)


def driver_environment(job: Job, desired: Desired, head: Pod) -> tuple[tuple[str, str], ...]:
    """What differs from attempt to attempt; the rest is in the head's pod.

    The head's uid lets a driver see that it was started on another pod: a later head may have the name or the
    address of the one that is meant.
    """
    document = desired.model_dump_json(by_alias=True, exclude_none=True)
    return (
        (ATTEMPT_ENV, str(job.status.attempt)),
        (DESIRED_ENV, document),
        (HEAD_UID_ENV, head.uid),
        (IMAGE_ENV, head.image),
    )


def log_config_map(job: Job, key: str, text: str) -> dict[str, Any]:
    """Outlives the cluster, not the job."""
    return _object(CONFIG_MAPS, job, names.logs_name(job.name, job.uid)) | {"data": {key: text}}


def ray_cluster(job: Job, spec: TrainingJobSpec, settings: Settings) -> dict[str, Any]:
    """A head for the driver, and groups for learner and rollouts where they have pods of their own."""
    body = _object(RAY_CLUSTERS, job, job.child)
    body["metadata"]["annotations"] = {
        names.SPEC_DIGEST_ANNOTATION: spec_digest(spec),
        names.BUILDER_ANNOTATION: BUILDER_VERSION,
    }
    if spec.scheduling.queue is not None:
        body["metadata"]["labels"][QUEUE_LABEL] = spec.scheduling.queue
        if spec.scheduling.priority_class is not None:
            body["metadata"]["labels"][PRIORITY_LABEL] = spec.scheduling.priority_class
    groups = []
    if spec.learner.replicas:
        groups.append(learner_group(job, spec, settings))
    if spec.rollouts.replicas:
        groups.append(rollouts_group(job, spec, settings))
    body["spec"] = {
        "rayVersion": spec.runtime.ray_version,
        "authOptions": {"mode": "token", "secretName": job.child},
        "enableInTreeAutoscaling": False,
        "headGroupSpec": head_group(job, spec, settings),
        "workerGroupSpecs": groups,
    }
    return body


def _object(resource: Resource, job: Job, name: str) -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": {
                names.JOB_LABEL: job.name,
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
            },
            "ownerReferences": [
                {
                    "apiVersion": TRAINING_JOBS.api_version,
                    "kind": TRAINING_JOBS.kind,
                    "name": job.name,
                    "uid": job.uid,
                    "controller": True,
                }
            ],
        },
    }


def _job_file(job: Job, spec: TrainingJobSpec) -> dict[str, Any]:
    """The spec as the driver reads it; JSON is YAML too."""
    document = {
        "apiVersion": TRAINING_JOBS.api_version,
        "kind": TRAINING_JOBS.kind,
        "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    text = json.dumps(document, indent=1, sort_keys=True)
    return _object(CONFIG_MAPS, job, job.child) | {"data": {names.JOB_FILE: text}, "immutable": True}


def _token(job: Job, settings: Settings) -> dict[str, Any]:
    """Written once and never read: the operator computes it again from its own key."""
    data = {names.TOKEN_KEY: b64encode(settings.token(job.uid).encode()).decode()}
    return _object(SECRETS, job, job.child) | {"type": "Opaque", "data": data, "immutable": True}


def _network_policy(job: Job, settings: Settings) -> dict[str, Any]:
    """The job's pods talk to each other. Others reach metrics; the driver's and Ray's ports, the operator."""
    mine = {"matchLabels": {names.JOB_UID_LABEL: job.uid}}
    steering = [{"protocol": "TCP", "port": port} for port in (names.DASHBOARD_PORT, names.DRIVER_PORT)]
    metrics = [{"protocol": "TCP", "port": port} for port in (names.RAY_METRICS_PORT, names.DRIVER_PORT)]
    operator: dict[str, Any] = {"ports": steering}
    if settings.reach == "direct" and settings.operator_namespace:
        home = {"kubernetes.io/metadata.name": settings.operator_namespace}
        operator["from"] = [{"namespaceSelector": {"matchLabels": home}}]
    return _object(NETWORK_POLICIES, job, job.child) | {
        "spec": {
            "podSelector": mine,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": mine}]}, operator, {"ports": metrics}],
        }
    }


def _disruption_budget(job: Job, spec: TrainingJobSpec) -> dict[str, Any]:
    """Of head and learner one at a time, never none at all: that would hold up a node's drain for ever.

    ``maxUnavailable`` would: the server cannot count it for pods of a RayCluster, which has no scale
    subresource, and then allows nothing (seen on Kubernetes 1.36). Rollouts may go at any time.
    """
    roles = {"key": names.ROLE_LABEL, "operator": "In", "values": [names.HEAD, names.LEARNER]}
    selector = {"matchLabels": {names.JOB_UID_LABEL: job.uid}, "matchExpressions": [roles]}
    body = {"minAvailable": spec.learner.replicas, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return _object(DISRUPTION_BUDGETS, job, job.child) | {"spec": body | {"selector": selector}}
