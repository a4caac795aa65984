from __future__ import annotations

import pytest
from ray.exceptions import (
    LocalRayletDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    RaySystemError,
    RayTaskError,
)

from rl_platform.driver.outcome import _message, _reason
from rl_platform.spec.conditions import FailureReason
from rl_platform.workers.objective_checks import BadObjective
from rl_platform.workers.ray_session import BadRayAddress, RayUnreachable
from rl_platform.workers.ray_start import RayNotStarted
from rl_platform.workers.worker_losses import WorkersLost

ERRORS = [ObjectStoreFullError("/tmp is full"), OutOfDiskError("/tmp is full")]


@pytest.mark.parametrize("error", ERRORS)
def test_a_full_object_store_is_named_with_the_fields_that_give_it_room(error: Exception) -> None:
    of_a_task = RayTaskError("add", "traceback", error).as_instanceof_cause()
    for each in (error, of_a_task):
        assert _reason(each) == FailureReason.OUT_OF_MEMORY
        assert "object-store memory is full" in _message(each)
        assert "resources.memory of spec.rollouts" in _message(each)


@pytest.mark.parametrize(
    "error", [RaySystemError("broken pipe"), LocalRayletDiedError(), ObjectLostError("0" * 56, "", "")]
)
def test_a_ray_that_is_gone_is_no_failure_of_the_job(error: Exception) -> None:
    assert _reason(error) == FailureReason.RAY_LOST
    assert type(error).__name__ in _message(error)


def test_what_a_task_has_raised_is_one() -> None:
    of_a_task = RayTaskError("add", "traceback", ValueError("mine")).as_instanceof_cause()
    assert _reason(of_a_task) == FailureReason.INTERNAL_ERROR


def test_a_loss_that_cannot_be_learned_from_is_the_jobs_wherever_the_learner_is() -> None:
    of_a_task = RayTaskError(
        "update", "traceback", BadObjective("the loss function mine")
    ).as_instanceof_cause()
    assert _reason(of_a_task) == FailureReason.BAD_CONFIGURATION
    assert _message(of_a_task) == "the loss function mine"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BadRayAddress("RAY_ADDRESS=garbage"), FailureReason.BAD_CONFIGURATION),
        (RayUnreachable("nothing answers"), FailureReason.RAY_LOST),
        (RayNotStarted("in 3 tries"), FailureReason.RAY_LOST),
    ],
)
def test_a_ray_that_is_not_there_is_said_in_its_own_words(error: Exception, reason: FailureReason) -> None:
    assert (_reason(error), _message(error)) == (reason, str(error))


def test_workers_that_end_again_and_again_are_told_with_where_to_read_more() -> None:
    lost = WorkersLost("every rollout worker ended without a word")
    assert _reason(lost) == FailureReason.ENVIRONMENT_FAULT
    assert _message(lost, "runs/x/logs") == f"{lost}; what they printed is in runs/x/logs"
    assert _message(lost) == f"{lost}; what they printed is in their pods' logs, or in those of their Ray"


def test_whatever_arrives_is_told_in_a_message_of_bounded_length() -> None:
    assert len(_message(RuntimeError("x" * 10**6))) < 4_200
