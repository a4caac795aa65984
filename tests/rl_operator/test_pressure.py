"""Suspension and deadlines: a driver is asked to end, and pressed harder where it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator.decision import Delete
from rl_operator.driver_contact import JobState
from rl_operator.observed import Observed
from rl_operator.suspend import Pressure, asked_before, pressure
from rl_operator.times import written
from rl_platform.spec.conditions import ConditionType, Phase
from rl_platform.spec.status import (
    DriverAsked,
    DriverOutcome,
    Failures,
)
from tests.rl_operator.decided import after, reason
from tests.rl_operator.observations import (
    NOW,
    SETTINGS,
    cluster,
    job,
    pod,
    running,
    seen,
    sighting,
)


def test_suspension_drains_then_gives_the_cluster_back_then_says_so() -> None:
    suspend = {"runPolicy": {"suspend": True}}
    decision, status = after(seen(job(running(), **suspend), sighting=sighting()))
    assert decision.order is not None
    assert not decision.order.drain  # before it is written down
    assert status.phase is Phase.SUSPENDING
    decision, status = after(seen(job(status, **suspend), sighting=sighting()))
    assert decision.order is not None
    assert (decision.order.drain, decision.order.stop) == (True, False)
    _, ended = after(seen(job(status, **suspend), sighting=sighting(JobState.FAILED, exit_code=3)))
    decision, gone = after(seen(job(ended, **suspend)))
    assert [type(it) for it in decision.writes] == [Delete]
    assert reason(gone, ConditionType.SUSPENDED) == ("Unknown", "Suspending")
    _, still = after(seen(job(gone, **suspend), cluster=None))  # a pod is left
    assert still.phase is Phase.SUSPENDING
    _, done = after(seen(job(gone, **suspend), cluster=None, pods=()))
    assert (done.phase, done.failures) == (Phase.SUSPENDED, Failures())
    _, again = after(seen(job(done), cluster=None, pods=()))
    assert (again.attempt, reason(again, ConditionType.SUSPENDED)[0]) == (2, "False")


def pressed(asked: DriverAsked | None, seconds_ago: float, **policy: Any) -> Observed:
    """A driver that was asked so long ago."""
    time = written(NOW - seconds_ago) if asked else None
    return seen(job(running(asked=asked, asked_time=time), runPolicy=policy), sighting=sighting())


def test_a_driver_that_does_not_drain_is_pressed_harder() -> None:
    draining, stopping = SETTINGS.drain_grace_seconds + 1, SETTINGS.stop_grace_seconds + 1
    decision, status = after(pressed(DriverAsked.DRAIN, draining, suspend=True))
    assert decision.order is not None
    assert (decision.order.drain, decision.order.stop) == (True, False)
    assert status.driver is not None
    assert (status.driver.asked, status.driver.asked_time) == (DriverAsked.STOP, written(NOW))
    again = seen(job(status, runPolicy={"suspend": True}), sighting=sighting(), now=NOW + 5)
    decision, same = after(again)
    assert decision.order is not None
    assert decision.order.stop
    assert same == status  # the grace does not begin anew with every look
    _, taken = after(pressed(DriverAsked.STOP, stopping, suspend=True))
    assert taken.driver is not None
    assert (taken.driver.outcome, taken.failures.infrastructure) == (DriverOutcome.LOST, 0)


@pytest.mark.parametrize("asked", [DriverAsked.DRAIN, DriverAsked.STOP])
def test_a_clock_that_is_set_back_forgets_neither_an_order_nor_a_deadline(asked: DriverAsked) -> None:
    policy = {"activeDeadlineSeconds": 100, "backoffLimit": 0}
    status = running(asked=asked, asked_time=written(NOW + 500), start_time=written(NOW + 300))
    decision, same = after(seen(job(status, runPolicy=policy), sighting=sighting()))
    assert decision.order is not None
    assert (decision.order.drain, decision.order.stop) == (True, asked is DriverAsked.STOP)
    assert same.driver == status.driver
    stopped = seen(job(status, runPolicy=policy), sighting=sighting(JobState.STOPPED))
    _, ended = after(stopped)
    assert (ended.failures, ended.active_seconds) == (Failures(), 200)
    _, told = after(seen(job(ended, runPolicy=policy), cluster=None, pods=()))
    assert reason(told, ConditionType.SUCCEEDED) == ("False", "DeadlineExceeded")


def test_what_is_taken_back_begins_anew_but_a_stop_is_remembered() -> None:
    sized = cluster(groups=())
    _, status = after(replace(pressed(DriverAsked.DRAIN, 5), cluster=sized))
    assert status.driver is not None
    assert (status.driver.asked, status.driver.asked_time) == (DriverAsked.DRAIN, None)
    again = seen(job(status), cluster=sized, sighting=sighting(), now=NOW + 500)
    assert after(again)[1] == status
    decision, status = after(replace(again, job=job(status, runPolicy={"suspend": True})))
    assert decision.order is not None
    assert (decision.order.drain, decision.order.stop) == (True, False)
    assert status.driver is not None
    assert (status.driver.asked, status.driver.asked_time) == (DriverAsked.DRAIN, written(NOW + 500))
    decision, status = after(pressed(DriverAsked.STOP, 5))
    assert decision.order is not None
    assert not decision.order.stop
    assert status.driver is not None
    assert (status.driver.asked, status.driver.asked_time) == (DriverAsked.STOP, None)
    _, ended = after(seen(job(status), sighting=sighting(JobState.STOPPED)))
    assert ended.failures == Failures()


@given(st.sampled_from([None, *DriverAsked]), st.floats(0, 1e6), st.floats(0, 1e6))
def test_pressure_only_grows_and_by_one_step_at_a_time(
    asked: DriverAsked | None, one: float, other: float
) -> None:
    driver = running(asked=asked, asked_time=written(NOW) if asked else None).driver
    assert driver is not None
    early, late = (pressure(driver, True, NOW + it, 60, 30) for it in sorted((one, other)))
    assert asked_before(driver) <= early <= late <= asked_before(driver) + 1
    assert pressure(driver, False, NOW, 60, 30) is Pressure.NONE


def test_a_drain_costs_nothing_where_it_was_asked_for_or_the_head_goes() -> None:
    drained = sighting(JobState.FAILED, exit_code=3)
    _, asked = after(pressed(DriverAsked.DRAIN, 5))
    assert asked.driver is not None
    assert asked.driver.asked is DriverAsked.DRAIN  # it was taken back, and may have been heard
    goes, suspend = (pod(terminating=True),), {"runPolicy": {"suspend": True}}
    for of in (
        seen(job(asked), sighting=drained),
        seen(job(running()), sighting=drained, pods=goes),
        seen(job(running()), sighting=drained, pods=(), attempt_head_gone=True),
        seen(job(running(), **suspend), sighting=drained),
    ):
        _, status = after(of)
        assert status.driver is not None
        assert (status.driver.outcome, status.failures) == (DriverOutcome.DRAINED, Failures())
        assert reason(status, ConditionType.TRAINING) == ("False", "Drained")
    _, status = after(seen(job(running()), sighting=drained))
    assert reason(status, ConditionType.TRAINING) == ("False", "DrainedUnasked")
