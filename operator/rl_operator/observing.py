"""Gathering what a pass goes by: from the caches, and from the server where a cache may be too old."""

from __future__ import annotations

from collections.abc import Callable

from rl_operator import names
from rl_operator.caches import Caches
from rl_operator.driver_contact import DriverContacts
from rl_operator.observed import (
    Cluster,
    Job,
    Observed,
    Pending,
    Pod,
    cluster_from,
    pod_from,
)
from rl_operator.rbac import Rule
from rl_operator.retry import drained
from rl_operator.runtime.api import Api, ApiError
from rl_operator.runtime.resources import CORE_EVENTS, PODS, RAY_CLUSTERS, SERVICE_ACCOUNTS, TRAINING_JOBS
from rl_operator.runtime.views import Views
from rl_operator.times import read
from rl_platform.spec.status import DriverState

RULES = (
    Rule(TRAINING_JOBS, ("get",)),
    Rule(RAY_CLUSTERS, ("get",)),
    Rule(PODS, ("list",)),
    Rule(CORE_EVENTS, ("list",)),
    Rule(SERVICE_ACCOUNTS, ("get",)),
)


class Observer:
    """Reads; never writes."""

    def __init__(
        self, api: Api, caches: Caches, contacts: DriverContacts, clock: Callable[[], float]
    ) -> None:
        self._api, self._caches, self._contacts, self._clock = api, caches, contacts, clock
        self._clusters, self._pods = Views(caches.clusters, cluster_from), Views(caches.pods, pod_from)

    def observe(self, job: Job) -> Observed:
        """Raises ApiError where the server has to be asked and does not answer."""
        now, driver = self._clock(), job.status.driver
        missing = self._caches.kuberay_missing()
        cluster = self._cluster(job, missing)
        pods = self._cached_pods(job)
        sighting = self._contacts.sighting(job.key)
        state = driver.state if driver is not None else None
        head_gone = False
        if driver is not None and state is DriverState.SUBMITTED:
            pod = next((it for it in pods if it.uid == driver.head), None)
            unasked = drained(sighting) and driver.asked is None  # whether its head goes makes a difference
            if pod is None or unasked:
                pods = self._listed_pods(job)
                pod = next((it for it in pods if it.uid == driver.head), None)
            head_gone = pod is None or not pod.alive
        elif state is DriverState.WAITING and any(it.role == names.HEAD and it.ready for it in pods):
            pods = self._listed_pods(job)  # a driver is not sent to a head that is gone since
        starting = cluster is not None and not any(it.role == names.HEAD and it.ready for it in pods)
        warning = self._warning(job, cluster) if starting and state is DriverState.WAITING else None
        return Observed(
            now=now,
            job=job,
            cluster=cluster,
            pods=pods,
            sighting=sighting,
            attempt_head_gone=head_gone,
            kuberay_missing=missing,
            warning=warning,
            service_account_fault=self._service_account_fault(job) if cluster is None else "",
        )

    def still_there(self, job: Job) -> bool:
        """Asks the server; what it answers is what the next pass goes by."""
        document = self._api.get(TRAINING_JOBS, job.namespace, job.name)
        if document is None:
            return False
        self._caches.jobs.take(document)
        return bool(document["metadata"]["uid"] == job.uid)

    def _cluster(self, job: Job, missing: bool) -> Cluster | None:
        """That there is none is asked of the server: what follows from it cannot be taken back."""
        cluster = self._clusters.get(job.namespace, job.child)
        if cluster is None and job.status.attempt and job.status.completion_time is None and not missing:
            document = self._api.get(RAY_CLUSTERS, job.namespace, job.child)
            cluster = cluster_from(document) if document is not None else None
        return cluster if cluster is not None and cluster.controller in ("", job.uid) else None

    def _cached_pods(self, job: Job) -> tuple[Pod, ...]:
        return tuple(it for it in self._pods.of(job.key) if it.job_uid == job.uid)

    def _listed_pods(self, job: Job) -> tuple[Pod, ...]:
        selector = f"{names.JOB_UID_LABEL}={job.uid}"
        listing = self._api.list(PODS, job.namespace, label_selector=selector)
        return tuple(map(pod_from, listing.items))

    def _warning(self, job: Job, cluster: Cluster | None) -> Pending | None:
        """What KubeRay's own validation refuses is told in events only. Not to see them is no obstacle."""
        if cluster is None or cluster.pending is not None:
            return None
        selector = f"involvedObject.uid={cluster.uid},type=Warning"
        try:
            listing = self._api.list(CORE_EVENTS, job.namespace, field_selector=selector)
        except ApiError:
            return None
        newest = max(listing.items, key=_event_time, default=None)
        if newest is None:
            return None
        return Pending(str(newest.get("reason") or "Warning"), str(newest.get("message", "")))

    def _service_account_fault(self, job: Job) -> str:
        """A ServiceAccount is used only where its owner has said that trainings may use it."""
        name = job.spec.runtime.service_account_name if job.spec is not None else None
        driver = job.status.driver
        if name is None or driver is None or driver.state is not DriverState.WAITING:
            return ""
        found = self._api.get(SERVICE_ACCOUNTS, job.namespace, name)
        labels = (found or {}).get("metadata", {}).get("labels") or {}
        if found is not None and labels.get(names.TRAINING_LABEL) == "true":
            return ""
        what = "does not exist" if found is None else "is not for trainings"
        return (
            f"spec.runtime.serviceAccountName: ServiceAccount {name} {what}; "
            f"label one with {names.TRAINING_LABEL}=true, or leave the field out"
        )


def _event_time(event: dict[str, object]) -> float:
    for field in ("lastTimestamp", "eventTime", "firstTimestamp"):
        if event.get(field):
            return read(str(event[field]))
    return 0.0
