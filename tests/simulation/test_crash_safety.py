"""Every write of every scenario of accidents: the operator dies before it, after it, or never hears of it."""

from __future__ import annotations

import pytest

from tests.simulation.crash_runs import Record, hold
from tests.simulation.runs import all_faults, reference
from tests.simulation.scenarios import ACCIDENTS, SCENARIOS
from tests.simulation.schedules import CRASHES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_there_are_enough_scenarios() -> None:
    assert len(SCENARIOS) >= 40


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_fault(name: str) -> None:
    reference(name)


@pytest.mark.parametrize("name", ACCIDENTS)
def test_a_crash_at_every_write(name: str, record_property: Record) -> None:
    hold(name, all_faults(name, CRASHES), record_property)
