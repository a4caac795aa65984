"""With what an attempt begins: when, on which head, and what is said of a cluster that does not come up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rl_operator.decide import decide
from rl_operator.observed import Observed, Pending
from rl_operator.status import compose
from rl_operator.times import written
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.status import DriverOutcome, DriverState, Failures, TrainingJobStatus
from tests.rl_operator.observations import NOW, SETTINGS, cluster, job, pod, seen, submitted, waiting


def after(observed: Observed) -> TrainingJobStatus:
    return compose(observed, decide(observed, SETTINGS))


def test_the_driver_goes_to_no_head_that_is_left_of_an_earlier_cluster() -> None:
    """Resumed while its pods still end: the old head may be ready for a moment more."""
    old, new = pod(cluster_uid="cluster-0"), pod(uid="head-2", cluster_uid="cluster-1")
    status = after(seen(job(waiting()), pods=(old,)))
    assert status.driver is not None
    assert status.driver.state is DriverState.WAITING
    status = after(seen(job(waiting()), pods=(old, new)))
    assert status.driver is not None
    assert status.driver.head == "head-2"


def test_the_driver_does_not_go_to_a_head_whose_cluster_is_being_deleted() -> None:
    """Its pod is ready until KubeRay has come to it."""
    stays, goes = seen(job(waiting())), seen(job(waiting()), cluster=cluster(deleting=True))
    for observed, state in ((stays, DriverState.SUBMITTED), (goes, DriverState.WAITING)):
        status = after(observed)
        assert status.driver is not None
        assert status.driver.state is state
    assert decide(goes, SETTINGS).writes == ()


def test_nothing_is_made_while_there_is_no_kuberay() -> None:
    nothing = seen(job(waiting()), cluster=None, pods=(), kuberay_missing=True)
    assert decide(nothing, SETTINGS).writes == ()
    assert decide(replace(nothing, kuberay_missing=False), SETTINGS).writes


@pytest.mark.parametrize(("ran", "since", "waits"), [(1, 0, 9), (1, 20, None), (60, 0, None)])
def test_a_driver_that_drains_soon_after_its_start_is_started_again_at_a_pace(
    ran: int, since: int, waits: int | None
) -> None:
    ended: dict[str, Any] = {
        "state": DriverState.ENDED,
        "outcome": DriverOutcome.DRAINED,
        "start_time": written(NOW - since - ran),
        "end_time": written(NOW - since),
    }
    status = after(seen(job(submitted(**ended))))
    assert status.driver is not None
    assert (status.attempt, status.failures) == (2, Failures())
    assert status.driver.not_before == (written(NOW + waits) if waits else None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [("Failed to pull", "Failedtopull"), ("x-y", "xy"), ("9!", "Warning"), ("A" * 200, "A" * 128)],
)
def test_a_reason_of_somebody_else_is_made_one_word(given: str, shown: str) -> None:
    status = after(seen(job(waiting()), pods=(), warning=Pending(given, "as it was said")))
    ready = next(it for it in status.conditions if it.type == ConditionType.CLUSTER_READY)
    assert (ready.status, ready.reason) == ("False", shown)
