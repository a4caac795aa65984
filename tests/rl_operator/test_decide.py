"""Deciding, state by state: each case says what was seen and what follows. The way through all states, with
crashes between any two steps, is for tests/simulation.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator import retry
from rl_operator.decision import Create, Delete, KeepLog
from rl_operator.driver_contact import JobState
from rl_operator.runtime.resources import RAY_CLUSTERS
from rl_operator.times import written
from rl_platform.spec.conditions import ConditionType, Phase
from rl_platform.spec.driver_protocol import HEAD_UID_ENV, ProgressState
from rl_platform.spec.status import (
    DriverOutcome,
    DriverState,
    Failures,
)
from tests.rl_operator.decided import after, reason
from tests.rl_operator.observations import (
    NOW,
    UID,
    cluster,
    job,
    pod,
    progress,
    running,
    seen,
    sighting,
    submitted,
    waiting,
)


def test_a_new_job_is_announced_before_anything_is_made() -> None:
    decision, status = after(seen(job(), cluster=None, pods=()))
    assert (decision.writes, decision.order) == ((), None)
    assert (status.attempt, status.phase) == (1, Phase.PENDING)
    assert status.driver is not None
    assert status.driver.state is DriverState.WAITING
    assert {it.type for it in status.conditions} == set(ConditionType)


def test_an_announced_attempt_makes_its_children() -> None:
    decision, _ = after(seen(job(waiting()), cluster=None, pods=()))
    assert all(isinstance(it, Create) for it in decision.writes)


def test_the_driver_goes_to_a_ready_head_only_and_is_announced_first() -> None:
    for head in (pod(ready=False), pod(ip=""), pod(terminating=True), pod(phase="Failed")):
        _, status = after(seen(job(waiting()), pods=(head,)))
        assert status.driver is not None
        assert status.driver.state is DriverState.WAITING
    decision, status = after(seen(job(waiting())))
    assert decision.order is None
    assert status.driver is not None
    assert (status.driver.state, status.driver.head) == (DriverState.SUBMITTED, "head-1")


def test_an_announced_driver_is_submitted_and_watched() -> None:
    decision, _ = after(seen(job(submitted())))
    assert decision.order is not None
    assert decision.order.submit
    assert decision.order.head.uid == "head-1"
    assert dict(decision.order.env)[HEAD_UID_ENV] == "head-1"  # by which it sees that it came to another
    _, status = after(seen(job(submitted()), sighting=sighting()))
    assert status.phase is Phase.TRAINING
    assert reason(status, ConditionType.TRAINING) == ("True", "Running")


def test_a_driver_that_has_run_is_never_submitted_again() -> None:
    for observed in (seen(job(submitted()), sighting=sighting()), seen(job(running()))):
        decision, _ = after(observed)
        assert decision.order is not None
        assert not decision.order.submit


def test_a_sighting_of_another_attempt_or_head_counts_for_nothing() -> None:
    for other in (sighting(JobState.FAILED, attempt=2), sighting(JobState.FAILED, head_uid="head-0")):
        _, status = after(seen(job(running()), sighting=other))
        assert status.driver is not None
        assert status.driver.state is DriverState.SUBMITTED


@pytest.mark.parametrize(
    ("end", "outcome", "application", "infrastructure"),
    [
        (sighting(JobState.SUCCEEDED, exit_code=0), DriverOutcome.DONE, 0, 0),
        (sighting(JobState.FAILED, exit_code=1), DriverOutcome.APPLICATION_FAILURE, 1, 0),
        (sighting(JobState.FAILED, exit_code=139), DriverOutcome.APPLICATION_FAILURE, 1, 0),
        (sighting(JobState.FAILED, exit_code=2), DriverOutcome.BAD_CONFIGURATION, 0, 0),
        (sighting(JobState.FAILED, exit_code=3), DriverOutcome.DRAINED, 0, 1),
        (sighting(JobState.STOPPED), DriverOutcome.APPLICATION_FAILURE, 1, 0),
        (sighting(JobState.FAILED), DriverOutcome.LOST, 0, 1),
        (sighting(None, unreachable_since=NOW, unreachable_seconds=301.0), DriverOutcome.LOST, 0, 1),
        (sighting(None), DriverOutcome.LOST, 0, 1),  # it ran, and Ray knows nothing of it
    ],
)
def test_how_a_driver_ends_decides_which_budget_pays(
    end: object, outcome: DriverOutcome, application: int, infrastructure: int
) -> None:
    _, status = after(replace(seen(job(running())), sighting=end))  # type: ignore[arg-type]
    assert status.driver is not None
    assert (status.driver.state, status.driver.outcome) == (DriverState.ENDED, outcome)
    assert (status.failures.application, status.failures.infrastructure) == (application, infrastructure)


@pytest.mark.parametrize(
    ("since", "seconds", "lost"), [(-4000, 5, False), (4000, 299, False), (4000, 301, True)]
)
def test_a_clock_that_is_set_neither_makes_a_head_unreachable_nor_hides_it(
    since: float, seconds: float, lost: bool
) -> None:
    silent = sighting(unreachable_since=NOW + since, unreachable_seconds=seconds, found=None)
    _, status = after(seen(job(running()), sighting=silent))
    assert status.driver is not None
    assert (status.driver.outcome is DriverOutcome.LOST) is lost


def test_a_head_that_drained_before_it_went_costs_nothing() -> None:
    last = progress(ProgressState.DRAINED, stop_reason="Drained")
    drained = sighting(progress=last)
    gone = seen(job(running()), pods=(), attempt_head_gone=True)
    _, status = after(replace(gone, sighting=drained))
    assert status.driver is not None
    assert status.driver.outcome is DriverOutcome.DRAINED
    _, noted = after(seen(job(running()), sighting=sighting(progress=last)))
    _, status = after(seen(job(noted), pods=(), attempt_head_gone=True))  # to another operator
    assert status.failures.infrastructure == 0
    _, status = after(replace(gone, sighting=sighting()))
    assert status.failures.infrastructure == 1


def test_the_end_of_the_log_is_kept_before_the_end_is_noted() -> None:
    decision, status = after(
        seen(job(running()), sighting=sighting(JobState.FAILED, exit_code=1, log_tail="x"))
    )
    assert [type(it) for it in decision.writes] == [KeepLog]
    assert status.driver is not None
    assert status.driver.state is DriverState.ENDED


def test_no_attempt_follows_a_lost_one_whose_head_may_still_run_it() -> None:
    lost = submitted(state=DriverState.ENDED, outcome=DriverOutcome.LOST, end_time=written(NOW))
    decision, status = after(seen(job(lost)))
    assert status.attempt == 1
    assert [type(it) for it in decision.writes] == [Delete]
    _, status = after(seen(job(lost), pods=(pod(uid="head-2"),)))
    assert status.attempt == 2


def test_a_retry_waits_on_the_same_cluster() -> None:
    failed = submitted(
        state=DriverState.ENDED, outcome=DriverOutcome.APPLICATION_FAILURE, end_time=written(NOW)
    )
    failed = failed.model_copy(update={"failures": Failures(application=2)})
    decision, status = after(seen(job(failed)))
    assert decision.writes == ()
    assert status.driver is not None
    assert (status.phase, status.driver.not_before) == (Phase.RETRYING, written(NOW + 20))
    early, _ = after(seen(job(status)))
    assert early.status.driver is not None
    assert early.status.driver.state is DriverState.WAITING
    late, _ = after(seen(job(status), now=NOW + 21))
    assert late.status.driver is not None
    assert late.status.driver.state is DriverState.SUBMITTED


@pytest.mark.parametrize(
    ("outcome", "failures", "policy", "why"),
    [
        (DriverOutcome.APPLICATION_FAILURE, Failures(application=4), {}, "BackoffLimitExceeded"),
        (DriverOutcome.LOST, Failures(infrastructure=21), {}, "InfrastructureRetriesExceeded"),
        (DriverOutcome.DRAINED, Failures(), {"activeDeadlineSeconds": 5.0}, "DeadlineExceeded"),
    ],
)
def test_a_used_up_budget_ends_the_job_once_its_cluster_is_gone(
    outcome: DriverOutcome, failures: Failures, policy: dict[str, float], why: str
) -> None:
    ended = submitted(state=DriverState.ENDED, outcome=outcome, end_time=written(NOW))
    ended = ended.model_copy(update={"failures": failures, "active_seconds": 6.0})
    decision, status = after(seen(job(ended, runPolicy=policy)))
    assert [type(it) for it in decision.writes] == [Delete]
    assert reason(status, ConditionType.SUCCEEDED)[0] == "Unknown"
    _, status = after(seen(job(ended, runPolicy=policy), cluster=None, pods=()))
    assert reason(status, ConditionType.SUCCEEDED) == ("False", why)
    assert (status.phase, status.completion_time) == (Phase.FAILED, written(NOW))


@given(st.sampled_from(list(DriverOutcome)), st.integers(0, 10_000), st.integers(0, 10_000))
def test_back_off_is_bounded_and_paid_for_failures_alone(
    outcome: DriverOutcome, one: int, other: int
) -> None:
    driver = submitted(outcome=outcome).driver
    few, many = sorted((one, other))
    waits = [retry.backoff_seconds(driver, Failures(application=it, infrastructure=it)) for it in (few, many)]
    assert 0 <= waits[0] <= waits[1] <= 600
    if outcome in (DriverOutcome.DONE, DriverOutcome.DRAINED, DriverOutcome.BAD_CONFIGURATION):
        assert waits == [0, 0]


def test_why_a_model_is_not_registered_stays_readable() -> None:
    last = progress(ProgressState.SUCCEEDED, model_fault="MLflow did not answer")
    _, status = after(seen(job(running()), sighting=sighting(progress=last)))
    assert reason(status, ConditionType.MODEL_REGISTERED) == ("False", "NotRegistered")
    _, status = after(seen(job(status), sighting=None))
    assert reason(status, ConditionType.MODEL_REGISTERED) == ("False", "NotRegistered")
    assert "did not answer" in next(
        it.message for it in status.conditions if it.type == ConditionType.MODEL_REGISTERED
    )


def test_a_last_word_is_acknowledged_once_it_is_written_down() -> None:
    last = sighting(progress=progress(ProgressState.SUCCEEDED, env_steps=1000))
    decision, status = after(seen(job(running()), sighting=last))
    assert decision.order is not None
    assert not decision.order.acknowledge
    decision, _ = after(seen(job(status), sighting=last))
    assert decision.order is not None
    assert decision.order.acknowledge


def test_steps_of_a_driver_that_has_not_taken_up_its_checkpoint_are_not_told() -> None:
    _, before = after(seen(job(running()), sighting=sighting(progress=progress())))
    starting = sighting(progress=progress(ProgressState.STARTING, env_steps=0))
    _, status = after(seen(job(before), sighting=starting))
    assert status.progress.env_steps == 500


def test_a_finished_job_makes_nothing_and_goes_when_its_time_is_over() -> None:
    ended = submitted(state=DriverState.ENDED, outcome=DriverOutcome.DONE, end_time=written(NOW))
    policy = {"runPolicy": {"ttlSecondsAfterFinished": 60}}
    _, status = after(seen(job(ended, **policy), cluster=None, pods=()))
    decision, same = after(seen(job(status, **policy), cluster=None, pods=()))
    assert (decision.writes, decision.look_again_seconds, same) == ((), 60.0, status)
    decision, _ = after(seen(job(status, **policy), cluster=None, pods=(), now=NOW + 61))
    assert [type(it) for it in decision.writes] == [Delete]
    decision, _ = after(seen(job(status, **policy), cluster=cluster(), now=NOW + 61))
    assert [it.resource for it in decision.writes if isinstance(it, Delete)] == [RAY_CLUSTERS]


def test_changed_keys_that_the_server_lets_through_are_seen() -> None:
    _, status = after(seen(job(running()), sighting=sighting()))
    changed = job(status, environment={"id": "CartPole-v1", "kwargs": {"gravity": 1}})
    _, status = after(seen(replace(changed, generation=4), sighting=sighting()))
    assert reason(status, ConditionType.DEGRADED) == ("True", "SpecDrift")
    again = replace(changed, generation=4, status=status)
    assert after(seen(again, sighting=sighting()))[1] == status


def test_a_checkpoint_that_is_delayed_shows_and_ends_showing() -> None:
    fault = "no space is left on the device"
    delayed = sighting(progress=progress(checkpoint_fault=fault))
    _, status = after(seen(job(running()), sighting=delayed))
    assert reason(status, ConditionType.DEGRADED) == ("True", "CheckpointDelayed")
    assert fault in next(it.message for it in status.conditions if it.type == ConditionType.DEGRADED)
    _, status = after(seen(job(status), sighting=sighting(progress=progress())))
    assert reason(status, ConditionType.DEGRADED) == ("False", "AsExpected")
    earlier = replace(delayed, submission_id=f"{UID}-0")
    _, status = after(seen(job(running()), sighting=earlier))
    assert reason(status, ConditionType.DEGRADED) == ("False", "AsExpected")


def test_kuberay_that_does_nothing_shows_after_a_minute() -> None:
    untouched = seen(job(waiting()), cluster=cluster(taken_up=False), pods=())
    assert reason(after(untouched)[1], ConditionType.CLUSTER_READY) == ("False", "HeadStarting")
    later = replace(untouched, now=NOW + 61)
    assert reason(after(later)[1], ConditionType.CLUSTER_READY) == ("False", "KubeRaySilent")
    taken_up = replace(later, cluster=cluster())
    assert reason(after(taken_up)[1], ConditionType.CLUSTER_READY) == ("False", "HeadStarting")


def test_who_samples_never_changes_under_a_running_driver() -> None:
    """As if an older schema had let it pass: no pod, driver or new cluster hears of it."""
    sampled_by_pods = {"rollouts": {"replicas": 2}}
    _, status = after(seen(job(running(), **sampled_by_pods), sighting=sighting()))
    changed = replace(job(status), generation=4)
    decision, status = after(seen(changed, sighting=sighting()))
    assert reason(status, ConditionType.DEGRADED) == ("True", "SpecDrift")
    assert decision.writes == ()
    assert decision.order is not None
    assert decision.order.desired is not None
    assert decision.order.desired.replicas is None
    held = replace(changed, status=status.model_copy(update={"driver": waiting().driver}))
    decision, status = after(seen(held, cluster=None, pods=()))
    assert decision.writes == ()
    assert reason(status, ConditionType.DEGRADED) == ("True", "SpecDrift")
    restored = replace(job(status, **sampled_by_pods), generation=5)
    decision, status = after(seen(restored, cluster=None, pods=()))
    assert RAY_CLUSTERS in {it.resource for it in decision.writes}
    assert reason(status, ConditionType.DEGRADED) == ("False", "AsExpected")


def test_a_spec_that_no_model_accepts_is_refused_with_its_path() -> None:
    broken = job(algorithm={"ppo": {"clipRange": -1.0}})
    _, status = after(seen(broken, cluster=None, pods=()))
    assert reason(status, ConditionType.SUCCEEDED) == ("False", "BadConfiguration")
    told = next(it.message for it in status.conditions if it.type == ConditionType.SUCCEEDED)
    assert "spec.algorithm.ppo.clipRange" in told
