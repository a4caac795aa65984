"""What one pass of reconcile goes by: the job, its cluster, its head, its driver, as they are now.

Nothing is decided here, and nothing is written. Everything else of a pass is a function of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from rl_operator import names
from rl_operator.driver_contact import DriverSighting, Key
from rl_operator.status_reading import status_from
from rl_platform.spec.explaining import explain
from rl_platform.spec.problems import path_text
from rl_platform.spec.status import TrainingJobStatus
from rl_platform.spec.training_job import TrainingJobSpec

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A TrainingJob as the cache has it. ``spec`` is None where it is not valid; ``fault`` says why."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    deleting: bool
    labels: Mapping[str, str]
    spec: TrainingJobSpec | None
    fault: str
    status: TrainingJobStatus
    stored: Json = field(default_factory=dict, repr=False, compare=False)  # the status as the server has it

    @property
    def namespace(self) -> str:
        return self.key[0]

    @property
    def name(self) -> str:
        return self.key[1]

    @property
    def child(self) -> str:
        return names.child_name(self.name, self.uid)


@dataclass(frozen=True, slots=True)
class Pending:
    """Why something does not start. ``reason`` is a condition's."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server does not take a child. ``permanent``: it never will, as the job stands."""

    reason: str
    message: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """The job's RayCluster."""

    uid: str
    resource_version: str
    deleting: bool
    queued_since: str | None  # Kueue or somebody else holds it suspended
    suspended: bool
    spec_digest: str
    pending: Pending | None  # why KubeRay cannot make its pods
    groups: tuple[Json, ...]  # workerGroupSpecs
    created: str
    taken_up: bool  # KubeRay has written a status
    controller: str = ""  # uid of what it belongs to


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the cluster."""

    name: str
    uid: str
    job_uid: str
    ip: str
    role: str
    phase: str
    ready: bool
    terminating: bool
    pending: Pending | None
    image: str = ""  # with its digest, once its container runs
    cluster_uid: str = ""  # of the RayCluster that it is of

    @property
    def alive(self) -> bool:
        """Something of it may still run."""
        return self.phase not in ("Failed", "Succeeded")


@dataclass(frozen=True, slots=True)
class Observed:
    """All of it, at ``now`` (epoch seconds by the operator's clock)."""

    now: float
    job: Job
    cluster: Cluster | None = None
    pods: tuple[Pod, ...] = ()
    sighting: DriverSighting | None = None
    attempt_head_gone: bool = False  # asked of the server just now, not only of the cache
    kuberay_missing: bool = False
    warning: Pending | None = None  # the newest Warning event of the cluster, looked up where no head exists
    service_account_fault: str = ""

    @property
    def head(self) -> Pod | None:
        """The head that a driver can be sent to; not one that ends, or is left of an earlier cluster."""
        heads = [it for it in self.of_role(names.HEAD) if self._is_of_the_cluster(it)]
        return heads[0] if heads else None

    def _is_of_the_cluster(self, pod: Pod) -> bool:
        return self.cluster is None or pod.cluster_uid in ("", self.cluster.uid)

    def pod(self, uid: str | None) -> Pod | None:
        return next((it for it in self.pods if it.uid == uid), None)

    def of_role(self, role: str) -> tuple[Pod, ...]:
        return tuple(it for it in self.pods if it.role == role and it.alive and not it.terminating)


def job_from(document: Json) -> Job:
    """From a TrainingJob as the server has it."""
    metadata = document["metadata"]
    spec, fault = _spec_from(to_json(document.get("spec") or {}))
    status = document.get("status") or {}
    return Job(
        key=(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        deleting="deletionTimestamp" in metadata,
        labels=metadata.get("labels") or {},
        spec=spec,
        fault=fault,
        status=status_from(status),
        stored=status,
    )


@lru_cache(maxsize=128)
def _spec_from(text: bytes) -> tuple[TrainingJobSpec | None, str]:
    """A spec, or why it is none. It is the same in all passes of a job, and reading it is much of a pass."""
    try:
        return TrainingJobSpec.model_validate(from_json(text)), ""
    except ValidationError as error:
        return None, "; ".join(_sentence(it) for it in error.errors())


def _sentence(error: Mapping[str, Any]) -> str:
    said = explain(error, TrainingJobSpec)
    return f"spec.{path_text(said.path)} {said.message}; {said.hint}"


def belongs_to_another(document: Json, uid: str) -> bool:
    """Somebody else than the object with this uid controls it."""
    return _controller(document) not in ("", uid)


def _controller(document: Json) -> str:
    """Uid of the object that controls it: there is one at most."""
    owners = document["metadata"].get("ownerReferences") or ()
    return next((it["uid"] for it in owners if it.get("controller")), "")


def cluster_from(document: Json) -> Cluster:
    """From a RayCluster."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    conditions = {it["type"]: it for it in (document.get("status") or {}).get("conditions") or ()}
    suspended = bool(spec.get("suspend"))
    since = conditions.get("RayClusterSuspended", {}).get("lastTransitionTime") if not suspended else None
    return Cluster(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        deleting="deletionTimestamp" in metadata,
        queued_since=since,
        suspended=suspended,
        spec_digest=(metadata.get("annotations") or {}).get(names.SPEC_DIGEST_ANNOTATION, ""),
        pending=_cluster_pending(conditions),
        groups=tuple(spec.get("workerGroupSpecs") or ()),
        created=metadata.get("creationTimestamp", ""),
        taken_up=bool(document.get("status")),
        controller=_controller(document),
    )


def _cluster_pending(conditions: Mapping[str, Json]) -> Pending | None:
    """A quota or an admission plugin that refuses pods shows in this condition of KubeRay's."""
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") != "True":
        return None
    message = str(failure.get("message", ""))
    quota = "exceeded quota" in message
    return Pending("QuotaExceeded" if quota else str(failure.get("reason") or "ReplicaFailure"), message)


def pod_from(document: Json) -> Pod:
    """From a Pod that carries the job's label."""
    metadata, status = document["metadata"], document.get("status") or {}
    conditions = {it["type"]: it for it in status.get("conditions") or ()}
    labels = metadata.get("labels") or {}
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        job_uid=labels.get(names.JOB_UID_LABEL, ""),
        ip=status.get("podIP", ""),
        role=labels.get(names.ROLE_LABEL, ""),
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in metadata,
        pending=_pod_pending(conditions, status.get("containerStatuses") or ()),
        image=_image(status.get("containerStatuses") or ()),
        cluster_uid=_controller(document),
    )


def _image(containers: Sequence[Json]) -> str:
    """Of Ray's container: an admission plugin may have added others."""
    found = next((it for it in containers if str(it.get("name", "")).startswith("ray-")), {})
    # Some container runtimes put a scheme before it.
    return str(found.get("imageID", "")).rpartition("://")[2]


def _pod_pending(conditions: Mapping[str, Json], containers: tuple[Json, ...] | list[Json]) -> Pending | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return Pending("Unschedulable", scheduled.get("message", "no node takes the pod"))
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in ("", "ContainerCreating", "PodInitializing"):
            continue
        image = "Image" in reason or reason == "RegistryUnavailable"
        text = waiting.get("message") or reason
        return Pending("ImagePullFailed" if image else reason, f"{container.get('name')}: {text}")
    return None
