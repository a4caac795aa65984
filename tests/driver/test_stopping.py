"""Each stop rule against the definition it states."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.driver.stopping import Standing, StopRule
from rl_platform.spec.conditions import StopReason
from rl_platform.spec.running import PlateauSpec, StopSpec


def stop(**rules: Any) -> StopSpec:
    """Every stop must have a bound: one far away where a test gives none."""
    return StopSpec(**{"updates": 10**12, **rules})


def plateau(env_steps: int, minimum_improvement: float) -> StopSpec:
    return stop(plateau=PlateauSpec(env_steps=env_steps, minimum_improvement=minimum_improvement))


def at(env_steps: int = 0, mean: float | None = None, returns: int = 100, **others: float) -> Standing:
    return Standing(env_steps, int(others.get("updates", 0)), others.get("wall_seconds", 0.0), mean, returns)


@pytest.mark.parametrize(
    ("rules", "before", "reached", "reason"),
    [
        (stop(env_steps=100), at(99), at(100), StopReason.ENV_STEPS_REACHED),
        (stop(updates=10), at(updates=9), at(updates=10), StopReason.UPDATES_REACHED),
        (stop(wall_seconds=5), at(wall_seconds=4.9), at(wall_seconds=5.0), StopReason.WALL_TIME_REACHED),
        (stop(episode_return=475), at(mean=474.9), at(mean=475.0), StopReason.RETURN_REACHED),
        (stop(episode_return=-250), at(mean=-250.1), at(mean=-249.0), StopReason.RETURN_REACHED),
    ],
)
def test_a_rule_holds_from_its_bound_on_and_not_before(
    rules: StopSpec, before: Standing, reached: Standing, reason: StopReason
) -> None:
    rule = StopRule(rules)
    assert rule.reason(before) is None
    assert rule.reason(reached) is reason


def test_a_mean_of_too_few_episodes_is_not_yet_a_return() -> None:
    rule = StopRule(stop(episode_return=1.0))
    assert rule.reason(at(mean=500.0, returns=99)) is None
    assert rule.reason(at(mean=None, returns=0)) is None
    assert rule.reason(at(mean=500.0, returns=100)) is StopReason.RETURN_REACHED
    assert StopRule(stop(episode_return=1.0), episodes=3).reason(at(mean=2.0, returns=3))


def test_the_return_is_the_reason_when_several_rules_hold_at_once() -> None:
    rules = stop(env_steps=1, updates=1, wall_seconds=1, episode_return=1.0)
    assert StopRule(rules).reason(at(1, 1.0, updates=1, wall_seconds=1)) is StopReason.RETURN_REACHED
    assert StopRule(rules).reason(at(1, 0.0, updates=1, wall_seconds=1)) is StopReason.ENV_STEPS_REACHED


def test_a_job_whose_bounds_are_changed_keeps_what_it_saw() -> None:
    rule = StopRule(stop(env_steps=100))
    rule.reason(at(10, 5.0))
    rule.stop = plateau(50, 1.0)
    assert rule.reason(at(60, 5.5)) is StopReason.PLATEAU


means = st.integers(-5, 5).map(float) | st.floats(-10, 10)
reports = st.lists(st.tuples(st.integers(1, 30), means), min_size=1, max_size=40)


def first_plateau(steps: list[int], means: list[float], window: int, gain: float) -> int | None:
    """By the definition: some mean stands unbeaten by at least ``gain`` for ``window`` env steps."""
    reference = 0
    for now in range(1, len(steps)):
        if means[now] > means[reference] and means[now] - means[reference] >= gain:
            reference = now
        elif steps[now] - steps[reference] >= window:
            return now
    return None


@given(reports, st.integers(1, 100), st.integers(0, 5).map(float) | st.floats(0, 5))
def test_a_plateau_is_found_at_the_report_where_the_window_has_passed_without_enough_gain(
    given_reports: list[tuple[int, float]], window: int, gain: float
) -> None:
    steps = [sum(step for step, _ in given_reports[: index + 1]) for index in range(len(given_reports))]
    means = [mean for _, mean in given_reports]
    rule = StopRule(plateau(window, gain))
    found = None
    for index, (step, mean) in enumerate(zip(steps, means, strict=True)):
        if found is None and rule.reason(at(step, mean)) is StopReason.PLATEAU:
            found = index
    assert found == first_plateau(steps, means, window, gain)


@given(st.integers(1, 50), st.integers(2, 200))
def test_steady_gain_is_never_a_plateau(gain_per_report: int, count: int) -> None:
    rule = StopRule(plateau(10, float(gain_per_report * 2)))
    assert all(rule.reason(at(step * 4, step * gain_per_report)) is None for step in range(count))


@given(reports, st.integers(0, 10))
def test_a_resumed_rule_decides_as_an_uninterrupted_one(
    given_reports: list[tuple[int, float]], cut: int
) -> None:
    rules = plateau(40, 0.5)
    whole, resumed = StopRule(rules), StopRule(rules)
    step = 0
    for index, (gained, mean) in enumerate(given_reports):
        step += gained
        if index == cut:
            state = json.loads(json.dumps(resumed.snapshot()))
            resumed = StopRule(rules)
            resumed.restore(state)
        assert whole.reason(at(step, mean)) == resumed.reason(at(step, mean))


def test_a_gain_of_just_the_minimum_counts_and_one_below_does_not() -> None:
    for second, found in ((6.0, None), (5.9, StopReason.PLATEAU)):
        rule = StopRule(plateau(50, 1.0))
        assert rule.reason(at(10, 5.0)) is None
        assert rule.reason(at(60, second)) is found


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1e9), st.none() | st.floats(-1e9, 1e9))
def test_a_rule_that_is_not_set_never_holds(
    steps: int, updates: int, seconds: float, mean: float | None
) -> None:
    assert StopRule(stop()).reason(Standing(steps, updates, seconds, mean, 100)) is None
