"""Every write of every scenario of users and clusters: the operator dies before it, after it, unheard."""

from __future__ import annotations

import pytest

from tests.simulation.crash_runs import Record, hold
from tests.simulation.runs import some_faults
from tests.simulation.scenarios import USERS
from tests.simulation.schedules import CRASHES
from tests.simulation.test_crash_safety import MOST

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", USERS)
def test_a_crash_at_every_write(name: str, record_property: Record) -> None:
    hold(name, some_faults(name, CRASHES, MOST, seed=1), record_property)
