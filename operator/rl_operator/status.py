"""The status of a job: from what was decided and observed to one document. Pure.

Conditions are the truth for programs; ``phase`` is one word for people, made from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from rl_operator import names
from rl_operator.decision import Decision, Holds
from rl_operator.drift import drifted
from rl_operator.driver_contact import DriverSighting
from rl_operator.observed import Cluster, Observed, Pending
from rl_operator.times import seconds_since, written
from rl_platform.spec.conditions import ConditionType, Phase
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import ProgressState
from rl_platform.spec.hiding import hide
from rl_platform.spec.status import (
    Condition,
    DriverOutcome,
    DriverState,
    DriverStatus,
    MlflowStatus,
    ProgressStatus,
    TrainingJobStatus,
)

MESSAGE_LENGTH, REASON_LENGTH = 2000, 128
KUBERAY_SECONDS = 60.0  # a KubeRay that runs takes a RayCluster up in one or two


def told(status: TrainingJobStatus, sighting: DriverSighting | None) -> TrainingJobStatus:
    """``status`` with what the driver last said of itself."""
    progress = sighting.progress if sighting is not None else None
    if progress is None or progress.state is ProgressState.STARTING:
        return status  # before it has taken up its checkpoint it counts from zero
    update: dict[str, object] = {
        "progress": ProgressStatus(
            env_steps=progress.env_steps,
            updates=progress.updates,
            episode_return_mean=progress.episode_return_mean,
            env_steps_per_second=progress.env_steps_per_second,
            eta_seconds=progress.eta_seconds,
        )
    }
    if progress.checkpoint is not None:
        update["checkpoint"] = progress.checkpoint
    if progress.model is not None:
        update["model"] = progress.model
    if progress.mlflow_run_id is not None:
        known = status.mlflow or MlflowStatus()
        update["mlflow"] = known.model_copy(update={"run_id": progress.mlflow_run_id})
    return status.model_copy(update=update)


def compose(seen: Observed, decision: Decision) -> TrainingJobStatus:
    """What is to be written."""
    job, status = seen.job, decision.status
    driver = status.driver
    before = job.status.driver
    over = before is not None and before.state is DriverState.ENDED and before == driver
    if (
        driver is not None
        and not over  # what is written down then is its last report
        and seen.sighting is not None
        and seen.sighting.submission_id == driver.submission_id
    ):
        status = told(status, seen.sighting)
    conditions = _conditions(seen, status, decision.conditions)
    rollouts = seen.of_role(names.ROLLOUTS)
    selector = f"{names.JOB_LABEL}={job.name},{names.ROLE_LABEL}={names.ROLLOUTS}"
    update: dict[str, object] = {
        "conditions": conditions,
        "phase": _phase(seen, status, conditions),
        "observed_generation": job.generation,
        "start_time": status.start_time or written(seen.now),
        "ray_cluster": job.child if seen.cluster is not None else None,
        "rollouts": status.rollouts.model_copy(
            update={
                "replicas": len(rollouts),
                "ready": sum(it.ready for it in rollouts),
                "selector": selector,
                "draining_since": status.rollouts.draining_since if _at_work(driver) else None,
            }
        ),
    }
    if job.spec is not None:
        update["spec_digest"] = status.spec_digest or spec_digest(job.spec)
        tracking = job.spec.tracking
        if tracking.enabled:
            place = {
                "uri": hide(tracking.mlflow_uri) if tracking.mlflow_uri else None,
                "experiment": tracking.experiment or job.name,
            }
            update["mlflow"] = (status.mlflow or MlflowStatus()).model_copy(update=place)
    return status.model_copy(update=update)


def _at_work(driver: DriverStatus | None) -> bool:
    return driver is not None and driver.state is DriverState.SUBMITTED


def _conditions(
    seen: Observed, status: TrainingJobStatus, decided: Mapping[ConditionType, Holds]
) -> tuple[Condition, ...]:
    """Every type, always, in one order. The time is that of the last change of ``status`` alone."""
    before = {it.type: it for it in seen.job.status.conditions}
    holds = {
        ConditionType.CLUSTER_READY: _cluster_ready(seen, status),
        ConditionType.DEGRADED: _degraded(seen, status),
        ConditionType.CHECKPOINT_AVAILABLE: _checkpoint(seen, status),
        ConditionType.MODEL_REGISTERED: _model(status, seen.sighting, before),
    } | dict(decided)
    made = []
    for type_ in ConditionType:
        old = before.get(type_)
        new = holds.get(type_) or (
            Holds(old.status, old.reason, old.message) if old else Holds("Unknown", "InProgress")
        )
        made.append(_condition(type_, new, old, seen))
    return tuple(made)


def _condition(type_: ConditionType, new: Holds, old: Condition | None, seen: Observed) -> Condition:
    """The old one itself where it says the same: most do in most passes."""
    reason, message = _one_word(new.reason), hide(new.message)[:MESSAGE_LENGTH]
    generation = seen.job.generation
    same = old is not None and old.status == new.status
    if old and same and (old.reason, old.message, old.observed_generation) == (reason, message, generation):
        return old
    return Condition(
        type=type_,
        status=new.status,
        reason=reason,
        message=message,
        last_transition_time=old.last_transition_time if same and old else written(seen.now),
        observed_generation=generation,
    )


@lru_cache(maxsize=1024)
def _one_word(reason: str) -> str:
    """What others give as a reason, in events say, may be anything; a condition's is one word."""
    word = re.sub(r"^[^A-Za-z]+|[^A-Za-z0-9]", "", reason)[:REASON_LENGTH]
    return word or "Warning"


def _cluster_ready(seen: Observed, status: TrainingJobStatus) -> Holds:
    cluster, head = seen.cluster, seen.head
    driver = status.driver
    if cluster is None and (driver is None or driver.state is DriverState.ENDED):
        return Holds("False", "NoCluster", "There is none now.")
    if seen.kuberay_missing:
        text = "The cluster does not know RayClusters; install the KubeRay operator, 1.5 or newer."
        return Holds("False", "KubeRayMissing", text)
    if cluster is None:
        return Holds("False", "Creating", "The RayCluster is being made.")
    if cluster.deleting:
        return Holds("False", "Deleting", "The RayCluster is being deleted.")
    if cluster.suspended:
        return Holds("False", "Queued", "The RayCluster waits for its queue to admit it.")
    blocked = next((pod.pending for pod in seen.pods if pod.pending and pod.alive), None)
    if head is None or not head.ready:
        why = blocked or cluster.pending or seen.warning or _head_starting(seen, cluster)
        return Holds("False", why.reason, why.message)
    waiting = _missing(seen)
    if waiting:
        why_not = f" {blocked.message}" if blocked else ""
        return Holds("False", blocked.reason if blocked else "GroupsStarting", f"{waiting}{why_not}")
    return Holds("True", "Ready", "Head and groups are ready.")


def _head_starting(seen: Observed, cluster: Cluster) -> Pending:
    waited = seconds_since(cluster.created, seen.now)
    if seen.pods or cluster.taken_up or waited < KUBERAY_SECONDS:
        return Pending("HeadStarting", "The head pod is starting.")
    text = "KubeRay has not taken up the RayCluster; its operator is not running, or not for this namespace."
    return Pending("KubeRaySilent", text)


def _missing(seen: Observed) -> str:
    """Which groups have fewer ready pods than they should."""
    said = []
    for group in seen.cluster.groups if seen.cluster else ():
        role, wanted = group.get("groupName", ""), int(group.get("replicas") or 0)
        ready = sum(pod.ready for pod in seen.of_role(role))
        if ready < wanted:
            said.append(f"{ready} of {wanted} {role} pods are ready.")
    return " ".join(said)


def _degraded(seen: Observed, status: TrainingJobStatus) -> Holds:
    """It runs, but not as it should."""
    driver, sighting = status.driver, seen.sighting
    if drifted(seen.job):
        text = (
            "An immutable part of the spec was changed. What runs goes on as it began, and no new cluster is "
            "made; change it back, or make another TrainingJob."
        )
        return Holds("True", "SpecDrift", text)
    if driver is not None and driver.state is DriverState.SUBMITTED:
        head = seen.pod(driver.head)
        if head is not None and head.terminating:
            return Holds(
                "True", "HeadTerminating", "The head is being taken away; the driver saves its state."
            )
        if sighting is not None and sighting.unreachable_since is not None:
            text = f"Ray's head does not answer since {written(sighting.unreachable_since)}: {sighting.error}"
            return Holds("True", "DriverUnreachable", text)
        fault = _checkpoint_fault(driver, sighting)
        if fault is not None:
            return Holds("True", "CheckpointDelayed", fault)
    return Holds("False", "AsExpected")


def _checkpoint_fault(driver: DriverStatus, sighting: DriverSighting | None) -> str | None:
    if sighting is None or sighting.submission_id != driver.submission_id or sighting.progress is None:
        return None
    return sighting.progress.checkpoint_fault


def _checkpoint(seen: Observed, status: TrainingJobStatus) -> Holds:
    """One without a URI of its own is in the head pod, and goes with it."""
    if status.checkpoint is None:
        return Holds("False", "NoneYet")
    kept = seen.job.spec is None or seen.job.spec.checkpoint.uri is not None
    if kept:
        return Holds("True", "Saved", "A new attempt goes on from it.")
    return Holds("True", "SavedInHead", "It lasts as long as the head pod; checkpoint.uri would keep it.")


def _model(
    status: TrainingJobStatus, sighting: DriverSighting | None, before: Mapping[ConditionType, Condition]
) -> Holds:
    """Why there is none stays readable when the driver that said so is gone."""
    if status.model is not None:
        return Holds("True", "Registered", status.model.uri)
    progress = sighting.progress if sighting is not None else None
    if progress is not None and progress.model_fault is not None:
        return Holds("False", "NotRegistered", progress.model_fault)
    old = before.get(ConditionType.MODEL_REGISTERED)
    if old is not None and old.reason == "NotRegistered":
        return Holds("False", old.reason, old.message)
    return Holds("False", "NoneYet")


def _phase(seen: Observed, status: TrainingJobStatus, made: Iterable[Condition]) -> Phase:
    conditions = {it.type: it for it in made}
    summary = conditions[ConditionType.SUCCEEDED].status
    if summary != "Unknown":
        return Phase.SUCCEEDED if summary == "True" else Phase.FAILED
    suspended = conditions[ConditionType.SUSPENDED]
    if suspended.status == "True":
        return Phase.SUSPENDED
    if suspended.reason == "Suspending":
        return Phase.SUSPENDING
    driver = status.driver
    if driver is None:
        return Phase.PENDING
    if driver.state is DriverState.ENDED:
        return Phase.TRAINING if driver.outcome is DriverOutcome.DONE else Phase.RETRYING
    if driver.state is DriverState.SUBMITTED and driver.start_time is not None:
        return Phase.TRAINING
    if driver.not_before is not None and status.attempt > 1:
        return Phase.RETRYING
    return Phase.PENDING if seen.cluster is None else Phase.PROVISIONING
