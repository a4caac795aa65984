"""What an ended driver counts as."""

from __future__ import annotations

import pytest

from rl_operator.driver_contact import DriverSighting, JobState
from rl_operator.retry import Word, count, ending
from rl_platform.spec.conditions import FailureReason
from rl_platform.spec.status import DriverOutcome, Failures


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (FailureReason.RAY_LOST, DriverOutcome.LOST),
        (FailureReason.INTERNAL_ERROR, DriverOutcome.APPLICATION_FAILURE),
        (FailureReason.ENVIRONMENT_FAULT, DriverOutcome.APPLICATION_FAILURE),
    ],
)
def test_a_driver_whose_ray_is_gone_was_lost(reason: FailureReason, outcome: DriverOutcome) -> None:
    sighting = DriverSighting("sent", "head-1", 0.0, found=True, state=JobState.FAILED, exit_code=1)
    ended = ending(sighting, False, Word(reason.value, "RaySystemError: broken pipe", failed=True))
    assert ended is not None
    assert (ended.outcome, ended.reason) == (outcome, reason.value)
    assert "broken pipe" in ended.message
    failures = count(Failures(), ended)
    lost = outcome is DriverOutcome.LOST
    assert (failures.infrastructure, failures.application) == (int(lost), int(not lost))
