"""Every write of every scenario of users and clusters: the operator dies before it, after it, unheard."""

from __future__ import annotations

import pytest

from tests.simulation.crash_runs import Record, hold
from tests.simulation.runs import all_faults
from tests.simulation.scenarios import USERS
from tests.simulation.schedules import CRASHES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("name", USERS)
def test_a_crash_at_every_write(name: str, record_property: Record) -> None:
    hold(name, all_faults(name, CRASHES), record_property)
