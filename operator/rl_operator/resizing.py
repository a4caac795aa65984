"""Changing the size of a running cluster's rollouts, and nothing else of it. Pure.

A smaller group first waits for the driver to say which pods it needs no more; KubeRay is told their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rl_operator.decision import Patch
from rl_operator.drift import drifted
from rl_operator.driver_contact import DriverSighting
from rl_operator.names import ROLLOUTS
from rl_operator.observed import Observed, Pod
from rl_operator.pod_template import group_sizes
from rl_operator.runtime.resources import RAY_CLUSTERS
from rl_operator.times import seconds_since, written
from rl_platform.spec.status import RolloutsStatus
from rl_platform.spec.training_job import TrainingJobSpec


@dataclass(frozen=True, slots=True)
class Draining:
    """The driver that lets workers go, as it was seen last, and how long it is waited for."""

    sighting: DriverSighting | None
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class Resizing:
    """What is to be done. ``pods``: that go, by name. ``waits``: for the driver."""

    writes: tuple[Patch, ...] = ()
    pods: tuple[str, ...] = ()
    waits: bool = False

    def noted(self, before: RolloutsStatus, now: float) -> RolloutsStatus:
        """With the time since when it waits, by which an operator that was away knows it too."""
        since = (before.draining_since or written(now)) if self.waits else None
        return before.model_copy(update={"draining_since": since})


def resize(seen: Observed, spec: TrainingJobSpec, draining: Draining | None = None) -> Resizing:
    """Change the size of the rollouts group and nothing else, of exactly the cluster that was seen.

    Where a queue admits the job, its size stays as it was admitted; a spec that drifted changes no size.
    ``draining`` is None where no driver has workers.
    """
    cluster, job = seen.cluster, seen.job
    if cluster is None or spec.scheduling.queue is not None or drifted(job):
        return Resizing()
    for index, group in enumerate(cluster.groups):
        if group.get("groupName") != ROLLOUTS:
            continue
        sizes = group_sizes(spec.rollouts)
        changed: dict[str, Any] = {field: size for field, size in sizes.items() if group.get(field) != size}
        if not changed:
            return Resizing()
        pods: tuple[str, ...] = ()
        if draining is not None and sizes["replicas"] < int(group.get("replicas", 0)):
            free = _free(seen, sizes["replicas"], draining)
            if free is None:
                return Resizing(waits=True)
            pods = free
            changed["scaleStrategy"] = {"workersToDelete": list(pods)}
        return Resizing((_patch(seen, index, changed),), pods)
    return Resizing()


def _free(seen: Observed, wanted: int, draining: Draining) -> tuple[str, ...] | None:
    """The pods that go, those first that are not ready; None as long as the driver needs too many.

    One that was waited for long enough loses them: what their workers had in hand is counted as lost.
    """
    pods = seen.of_role(ROLLOUTS)
    since = seen.job.status.rollouts.draining_since
    overdue = since is not None and seconds_since(since, seen.now) >= draining.grace_seconds
    needed = _needed(seen, draining.sighting)
    if needed is None:
        return () if overdue else None
    free = sorted((it for it in pods if it.name not in needed), key=_readiness)
    surplus = max(0, len(pods) - wanted)
    if len(free) < surplus and not overdue:
        return None
    return tuple(it.name for it in free[:surplus])


def _needed(seen: Observed, sighting: DriverSighting | None) -> frozenset[str] | None:
    """Names of pods, by the driver; None before it has acted on the size that is wanted now."""
    progress = sighting.progress if sighting is not None else None
    if progress is None or (progress.desired_generation or 0) < seen.job.generation:
        return None
    return frozenset(progress.rollout_pods or ())


def _readiness(pod: Pod) -> tuple[bool, str]:
    return pod.ready, pod.name


def _patch(seen: Observed, index: int, changed: Mapping[str, Any]) -> Patch:
    assert seen.cluster is not None
    place = f"/spec/workerGroupSpecs/{index}"
    return Patch(
        RAY_CLUSTERS,
        seen.job.namespace,
        seen.job.child,
        (
            {"op": "test", "path": "/metadata/uid", "value": seen.cluster.uid},
            {"op": "test", "path": f"{place}/groupName", "value": ROLLOUTS},
            *({"op": "add", "path": f"{place}/{field}", "value": value} for field, value in changed.items()),
        ),
    )
