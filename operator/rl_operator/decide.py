"""What to do about a job, from what was observed. Pure: no call, no clock, no memory.

The states are written down in ``status.driver``: an attempt is Waiting, Submitted or Ended. Whatever a pass
announces there is acted on by the next one, so an operator may die between any two steps.
"""

from __future__ import annotations

from rl_operator import desired, retry
from rl_operator.attending import attend, end
from rl_operator.cleanup import after_the_end, conclude, delete_cluster
from rl_operator.decision import LATER_SECONDS, SOON_SECONDS, Decision, Holds, Write
from rl_operator.drift import drifted
from rl_operator.names import submission_id
from rl_operator.observed import Observed, Refusal
from rl_operator.resizing import resize
from rl_operator.retry import Ending
from rl_operator.settings import Settings
from rl_operator.times import read, seconds_since, written
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import DriverOutcome, DriverState, DriverStatus, TrainingJobStatus
from rl_platform.spec.training_job import TrainingJobSpec


def decide(seen: Observed, settings: Settings) -> Decision:
    """The story of a job, from its end backwards."""
    status, spec = seen.job.status, seen.job.spec
    if is_decided(status):
        return after_the_end(seen)
    if spec is None:
        return conclude(seen, retry.Verdict(False, "BadConfiguration", seen.job.fault))
    if status.driver is not None and status.driver.state is DriverState.SUBMITTED:
        return attend(seen, spec, status.driver, settings)
    decided = retry.verdict(spec.run_policy, status, seen.now)
    if decided is not None:
        return conclude(seen, decided)
    if spec.run_policy.suspend:
        return suspend(seen, status.driver)
    if status.driver is None or status.driver.state is DriverState.ENDED:
        return begin(seen, status.driver)
    return provision(seen, spec, status.driver, settings)


def refused(seen: Observed, decision: Decision, refusal: Refusal) -> Decision:
    """What becomes of a decision whose writes the server did not take."""
    driver = seen.job.status.driver
    if refusal.permanent and driver is not None and driver.state is DriverState.WAITING:
        return end(seen, driver, Ending(DriverOutcome.BAD_CONFIGURATION, refusal.reason, refusal.message))
    conditions = {
        **decision.conditions,
        ConditionType.CLUSTER_READY: Holds("False", refusal.reason, refusal.message),
    }
    return Decision(seen.job.status, conditions, order=decision.order, look_again_seconds=LATER_SECONDS)


def is_decided(status: TrainingJobStatus) -> bool:
    return any(it.type == ConditionType.SUCCEEDED and it.status != "Unknown" for it in status.conditions)


def begin(seen: Observed, last: DriverStatus | None) -> Decision:
    """Announce the next attempt, once nothing of the last one can run any more."""
    job, status = seen.job, seen.job.status
    lost = last is not None and last.outcome is DriverOutcome.LOST
    if lost and last is not None and _lives(seen, last):
        return Decision(status, writes=delete_cluster(seen), look_again_seconds=SOON_SECONDS)
    wait = retry.backoff_seconds(last, status.failures) or retry.pace_seconds(last, seen.now)
    ended = read(last.end_time) if last is not None and last.end_time else seen.now
    attempt = status.attempt + 1
    driver = DriverStatus(
        submission_id=submission_id(job.uid, attempt),
        state=DriverState.WAITING,
        created_time=written(seen.now),
        not_before=written(ended + wait) if wait else None,
    )
    conditions = {ConditionType.SUSPENDED: Holds("False", "NotSuspended")}
    if wait:
        text = f"Attempt {attempt} begins {wait:g} s after the end of the last one, at {driver.not_before}."
        conditions[ConditionType.TRAINING] = Holds("False", *_why(status, text))
    else:
        conditions[ConditionType.TRAINING] = Holds(
            "False", "Starting", f"Attempt {attempt} waits for the head."
        )
    return Decision(
        status.model_copy(update={"attempt": attempt, "driver": driver}),
        conditions,
        look_again_seconds=0.0,
    )


def provision(seen: Observed, spec: TrainingJobSpec, driver: DriverStatus, settings: Settings) -> Decision:
    """Bring the cluster up; once its head is ready, announce that the driver goes to it."""
    status, head = seen.job.status, seen.head
    if seen.kuberay_missing or (seen.cluster is not None and seen.cluster.deleting):
        return Decision(status, look_again_seconds=SOON_SECONDS if seen.cluster else LATER_SECONDS)
    if seen.cluster is None and drifted(seen.job):
        return Decision(status, look_again_seconds=LATER_SECONDS)  # the driver's file says what it began with
    if seen.cluster is None:
        return _make_cluster(seen, spec, driver, settings)
    writes = resize(seen, spec).writes  # no driver: no worker has anything in hand
    early = read(driver.not_before) - seen.now if driver.not_before else 0.0
    if head is not None and head.ready and head.ip and early <= 0:
        there = driver.model_copy(update={"state": DriverState.SUBMITTED, "head": head.uid})
        return Decision(status.model_copy(update={"driver": there}), writes=writes, look_again_seconds=0.0)
    waited = _provisioning_seconds(seen, driver)
    if waited > settings.provisioning_deadline_seconds and not (head is not None and head.ready):
        known = seen.warning or (seen.cluster.pending if seen.cluster else None)
        why = f" {known.message}" if known else ""
        text = f"The head was not ready within {settings.provisioning_deadline_seconds:g} s.{why}"
        lost = end(seen, driver, Ending(DriverOutcome.LOST, "ProvisioningDeadlineExceeded", text))
        return Decision(lost.status, lost.conditions, delete_cluster(seen), look_again_seconds=SOON_SECONDS)
    pause = SOON_SECONDS if waited < 60 else SOON_SECONDS * 5
    return Decision(status, writes=writes, look_again_seconds=max(early, pause))


def _make_cluster(
    seen: Observed, spec: TrainingJobSpec, driver: DriverStatus, settings: Settings
) -> Decision:
    fault = seen.service_account_fault
    made: tuple[Write, ...] = ()
    try:
        made = desired.children(seen.job, spec, settings)
    except desired.Refused as error:
        fault = fault or str(error)
    if fault:
        return end(seen, driver, Ending(DriverOutcome.BAD_CONFIGURATION, "BadConfiguration", fault))
    return Decision(seen.job.status, writes=made, look_again_seconds=SOON_SECONDS)


def suspend(seen: Observed, driver: DriverStatus | None) -> Decision:
    """No driver runs: give the cluster back, and say so once its pods are gone."""
    status = seen.job.status
    if seen.cluster is not None or seen.pods:
        holds = Holds("Unknown", "Suspending", "The cluster is being given back.")
        return Decision(
            status, {ConditionType.SUSPENDED: holds}, delete_cluster(seen), look_again_seconds=SOON_SECONDS
        )
    if driver is not None and driver.state is DriverState.WAITING:
        never = driver.model_copy(
            update={
                "state": DriverState.ENDED,
                "outcome": DriverOutcome.DRAINED,
                "end_time": written(seen.now),
            }
        )
        status = status.model_copy(update={"driver": never})
    return Decision(
        status,
        {
            ConditionType.SUSPENDED: Holds(
                "True", "Suspended", "Nothing runs until runPolicy.suspend is false."
            ),
            ConditionType.TRAINING: Holds("False", "Suspended"),
        },
    )


def _lives(seen: Observed, driver: DriverStatus) -> bool:
    """The head of the attempt may still run its driver."""
    pod = seen.pod(driver.head)
    return pod is not None and pod.alive


def _provisioning_seconds(seen: Observed, driver: DriverStatus) -> float:
    """Waited so far; time in a queue and in back-off does not count."""
    cluster = seen.cluster
    if cluster is None or cluster.suspended:
        return 0.0
    begun = [it for it in (driver.created_time, driver.not_before, cluster.queued_since) if it]
    return min((seconds_since(it, seen.now) for it in begun), default=0.0)


def _why(status: TrainingJobStatus, text: str) -> tuple[str, str]:
    """Why the last attempt ended stays readable while the next one waits."""
    last = next((it for it in status.conditions if it.type == ConditionType.TRAINING), None)
    if last is None or last.status != "False":
        return "BackOff", text
    return last.reason, f"{last.message} {text}".strip()[:2000]
