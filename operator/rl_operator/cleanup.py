"""Giving back what a job holds: its cluster before the verdict is told, the job after its time. Pure."""

from __future__ import annotations

from rl_operator.decision import LATER_SECONDS, SOON_SECONDS, Decision, Delete, Holds, Write
from rl_operator.observed import Observed
from rl_operator.retry import Verdict
from rl_operator.runtime.resources import RAY_CLUSTERS, TRAINING_JOBS
from rl_operator.times import read, written
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import DriverState


def delete_cluster(seen: Observed) -> tuple[Write, ...]:
    """Exactly the cluster that was seen; nothing where there is none, or it is on its way out."""
    cluster, job = seen.cluster, seen.job
    if cluster is None or cluster.deleting:
        return ()
    return (Delete(RAY_CLUSTERS, job.namespace, job.child, cluster.uid),)


def conclude(seen: Observed, verdict: Verdict) -> Decision:
    """Delete the cluster first: who sees a finished job, a queue say, may count on its resources."""
    status = seen.job.status
    if seen.cluster is not None:
        return Decision(status, writes=delete_cluster(seen), look_again_seconds=SOON_SECONDS)
    driver = status.driver
    if driver is not None and driver.state is not DriverState.ENDED:
        driver = driver.model_copy(update={"state": DriverState.ENDED, "end_time": written(seen.now)})
    return Decision(
        status.model_copy(update={"driver": driver, "completion_time": written(seen.now)}),
        {
            ConditionType.SUCCEEDED: Holds(
                "True" if verdict.succeeded else "False", verdict.reason, verdict.message
            ),
            ConditionType.TRAINING: Holds("False", verdict.reason, verdict.message),
            ConditionType.SUSPENDED: Holds("False", "NotSuspended"),
        },
        look_again_seconds=0.0,
    )


def after_the_end(seen: Observed) -> Decision:
    """Nothing is made any more. What is left of the cluster goes; the job goes when its time is over."""
    job, status = seen.job, seen.job.status
    writes = delete_cluster(seen)
    keep = job.spec.run_policy.ttl_seconds_after_finished if job.spec is not None else None
    if keep is None or status.completion_time is None:
        return Decision(status, writes=writes, look_again_seconds=SOON_SECONDS if writes else None)
    left = read(status.completion_time) + keep - seen.now
    if left > 0 or writes:
        return Decision(status, writes=writes, look_again_seconds=max(SOON_SECONDS, left))
    gone = Delete(TRAINING_JOBS, job.namespace, job.name, job.uid)
    return Decision(status, writes=(gone,), look_again_seconds=LATER_SECONDS)  # should it still be there
