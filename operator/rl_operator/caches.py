"""What the operator keeps of the cluster: jobs, their RayClusters and pods, and whose each of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rl_operator.job_facts import job_facts
from rl_operator.names import JOB_LABEL
from rl_operator.runtime.cache import Cache, Indexed, Key
from rl_operator.runtime.resources import TRAINING_JOBS


def index_child(document: Mapping[str, Any]) -> Indexed:
    """A RayCluster or a pod: it belongs to the job that owns it, else to the one that its label names."""
    metadata = document["metadata"]
    owner = _controller(metadata)
    job = (metadata.get("labels") or {}).get(JOB_LABEL)
    if owner.get("kind") == TRAINING_JOBS.kind:
        job = owner.get("name")
    return Indexed(
        key=(metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        owner_uid=owner.get("uid", ""),
        belongs_to=(metadata["namespace"], job) if job else None,
    )


def index_job(document: Mapping[str, Any]) -> Indexed:
    """A job belongs to itself."""
    metadata = document["metadata"]
    key: Key = (metadata["namespace"], metadata["name"])
    return Indexed(
        key, metadata["uid"], int(metadata["resourceVersion"]), belongs_to=key, facts=job_facts(document)
    )


def _controller(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    owners = metadata.get("ownerReferences") or ()
    return next((it for it in owners if it.get("controller")), {})


@dataclass(frozen=True, slots=True)
class Caches:
    """Filled by informers, read by reconcile."""

    jobs: Cache = field(default_factory=lambda: Cache(index_job))
    clusters: Cache = field(default_factory=lambda: Cache(index_child))
    pods: Cache = field(default_factory=lambda: Cache(index_child))
    kuberay_missing: Callable[[], bool] = lambda: False  # the server knows no RayClusters

    def caught_up(self, key: Key) -> bool:
        """Whether everything that was written for the job has come back by the watches."""
        return all(cache.caught_up(key) for cache in (self.jobs, self.clusters, self.pods))
