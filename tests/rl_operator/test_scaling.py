"""How the group of rollout workers gets larger and smaller."""

from __future__ import annotations

from typing import Any

from rl_operator.decision import Decision, Patch
from rl_operator.names import ROLLOUTS
from rl_operator.times import written
from rl_platform.spec.status import (
    RolloutsStatus,
)
from tests.rl_operator.decided import after
from tests.rl_operator.observations import (
    NOW,
    SETTINGS,
    job,
    pod,
    progress,
    running,
    seen,
    sighting,
    waiting,
)


def test_replicas_change_by_a_patch_that_tests_what_it_was_decided_on() -> None:
    decision, _ = after(seen(job(running(), rollouts={"replicas": 4}), sighting=sighting()))
    (patch,) = decision.writes
    assert isinstance(patch, Patch)
    assert patch.operations[:2] == (
        {"op": "test", "path": "/metadata/uid", "value": "cluster-1"},
        {"op": "test", "path": "/spec/workerGroupSpecs/0/groupName", "value": ROLLOUTS},
    )
    queued = job(running(), rollouts={"replicas": 4}, scheduling={"queue": "gpus"})
    decision, _ = after(seen(queued, sighting=sighting()))
    assert decision.writes == ()


def smaller(needed: tuple[str, ...] | None, since: float | None = None, **changes: Any) -> Decision:
    """Two pods of rollout workers are to become one; the driver has said which it needs."""
    status = running()
    if since is not None:
        rollouts = RolloutsStatus(draining_since=written(since))
        status = status.model_copy(update={"rollouts": rollouts})
    said = progress(**{"desired_generation": 3, "rollout_pods": needed} | changes)
    pods = (pod(), pod(ROLLOUTS, "a"), pod(ROLLOUTS, "b"))
    group = {"rollouts": {"replicas": 1}}
    return after(seen(job(status, **group), pods=pods, sighting=sighting(progress=said)))[0]


def named(decision: Decision) -> list[str]:
    (patch,) = decision.writes
    assert isinstance(patch, Patch)
    values = {it["path"].rpartition("/")[2]: it["value"] for it in patch.operations}
    assert values["replicas"] == 1
    assert tuple(values["scaleStrategy"]["workersToDelete"]) == decision.scaled_in
    return list(values["scaleStrategy"]["workersToDelete"])


def test_a_pod_that_the_driver_has_drained_goes_by_its_name() -> None:
    assert named(smaller(("pod-b",))) == ["pod-a"]
    assert named(smaller(("pod-a",))) == ["pod-b"]


def test_pods_stay_until_the_driver_has_let_their_workers_go() -> None:
    working = ("pod-a", "pod-b")
    decision = smaller(working)
    assert decision.writes == ()
    assert decision.status.rollouts.draining_since == written(NOW)
    unheard = smaller(None, desired_generation=2)
    assert unheard.writes == ()
    waits = smaller(working, since=NOW - 1)
    assert waits.status.rollouts.draining_since == written(NOW - 1)
    assert waits.writes == ()


def test_workers_that_do_not_finish_in_time_lose_their_pods() -> None:
    late = NOW - SETTINGS.drain_grace_seconds
    assert named(smaller(("pod-a", "pod-b"), since=late)) == []
    assert named(smaller(None, since=late, desired_generation=2)) == []


def test_where_nothing_says_otherwise_pods_that_are_not_ready_go_first() -> None:
    said = progress(desired_generation=3, rollout_pods=())
    pods = (pod(), pod(ROLLOUTS, "a"), pod(ROLLOUTS, "b", ready=False))
    group = {"rollouts": {"replicas": 1}}
    decision = after(seen(job(running(), **group), pods=pods, sighting=sighting(progress=said)))[0]
    assert named(decision) == ["pod-b"]


def test_without_a_driver_a_group_gets_smaller_at_once() -> None:
    decision, status = after(seen(job(waiting(), rollouts={"replicas": 1}), pods=()))
    assert [type(it) for it in decision.writes] == [Patch]
    assert status.rollouts.draining_since is None
