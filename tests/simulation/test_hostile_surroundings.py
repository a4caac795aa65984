"""Caches that lag, lost events, servers that refuse, heads that hang, late leaders, two faults in one run."""

from __future__ import annotations

import os

import pytest

from tests.simulation.crash_runs import Record, hold
from tests.simulation.runs import some_faults, some_pairs
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.schedules import CRASHES, Fault

EACH = int(os.environ.get("RLP_FAULT_RUNS", "2"))  # of one scenario and one class of faults
PAIRS = 2 * EACH
LEADERS = ("late-leader-1", "late-leader-3", "late-leader-slow", "old-snapshot")
CLOCKS = ("clock-forward", "clock-back")
EVENTS = ("event-lost", "event-twice", "event-late", "watch-expired")
# Not error-422: a child that the server calls invalid fails the job for good, as it should.
REFUSALS = (
    "error-409",
    "error-404",
    "error-403",
    "error-429",
    "error-500",
    "error-504",
    "error-504-applied",
    "timeout",
    "server-down",
)
HEADS = ("ray-timeout", "ray-lost", "ray-500", "ray-twice", "ray-hangs")
LAGS = ("lag", "lag-jobs", "lag-clusters", "lag-pods")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("kinds", [LEADERS, EVENTS, REFUSALS, HEADS, CLOCKS], ids=lambda it: it[0])
def test_one_fault(name: str, kinds: tuple[str, ...], record_property: Record) -> None:
    hold(name, some_faults(name, kinds, EACH, seed=2), record_property)


@pytest.mark.parametrize("name", SCENARIOS)
def test_two_crashes(name: str, record_property: Record) -> None:
    """What mends the first one is hit by the second."""
    hold(name, some_pairs(name, (*CRASHES, "late-leader-1"), PAIRS, seed=2), record_property)


@pytest.mark.parametrize("name", SCENARIOS)
def test_caches_behind_by_some_versions(name: str, record_property: Record) -> None:
    every = [Fault(kind, behind) for kind in LAGS for behind in range(1, 6)]
    hold(name, every[:: max(1, len(every) // EACH)], record_property)
