"""Each stop rule against the definition it states."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rl_platform.spec.conditions import StopReason

from rl_platform.driver.stopping import Standing, StopRule


@dataclass(frozen=True)
class Plateau:
    env_steps: int
    minimum_improvement: float


@dataclass(frozen=True)
class Stop:
    env_steps: int | None = None
    updates: int | None = None
    episode_return: float | None = None
    wall_seconds: float | None = None
    plateau: Plateau | None = None


def at(env_steps: int = 0, mean: float | None = None, returns: int = 100, **others: float) -> Standing:
    return Standing(env_steps, int(others.get("updates", 0)), others.get("wall_seconds", 0.0), mean, returns)


@pytest.mark.parametrize(
    ("stop", "before", "reached", "reason"),
    [
        (Stop(env_steps=100), at(99), at(100), StopReason.ENV_STEPS_REACHED),
        (Stop(updates=10), at(updates=9), at(updates=10), StopReason.UPDATES_REACHED),
        (Stop(wall_seconds=5), at(wall_seconds=4.9), at(wall_seconds=5.0), StopReason.WALL_TIME_REACHED),
        (Stop(episode_return=475), at(mean=474.9), at(mean=475.0), StopReason.RETURN_REACHED),
        (Stop(episode_return=-250), at(mean=-250.1), at(mean=-249.0), StopReason.RETURN_REACHED),
        (Stop(env_steps=0), None, at(0), StopReason.ENV_STEPS_REACHED),
    ],
)
def test_a_rule_holds_from_its_bound_on_and_not_before(
    stop: Stop, before: Standing | None, reached: Standing, reason: StopReason
) -> None:
    rule = StopRule(stop)
    assert before is None or rule.reason(before) is None
    assert rule.reason(reached) is reason


def test_a_mean_of_too_few_episodes_is_not_yet_a_return() -> None:
    rule = StopRule(Stop(episode_return=1.0))
    assert rule.reason(at(mean=500.0, returns=99)) is None
    assert rule.reason(at(mean=None, returns=0)) is None
    assert rule.reason(at(mean=500.0, returns=100)) is StopReason.RETURN_REACHED
    assert StopRule(Stop(episode_return=1.0), episodes=3).reason(at(mean=2.0, returns=3))


def test_the_return_is_the_reason_when_several_rules_hold_at_once() -> None:
    stop = Stop(env_steps=1, updates=1, wall_seconds=1, episode_return=1.0)
    assert StopRule(stop).reason(at(1, 1.0, updates=1, wall_seconds=1)) is StopReason.RETURN_REACHED
    assert StopRule(stop).reason(at(1, 0.0, updates=1, wall_seconds=1)) is StopReason.ENV_STEPS_REACHED


def test_a_job_whose_bounds_are_changed_keeps_what_it_saw() -> None:
    rule = StopRule(Stop(env_steps=100))
    rule.reason(at(10, 5.0))
    rule.stop = Stop(env_steps=1000, plateau=Plateau(50, 1.0))
    assert rule.reason(at(60, 5.5)) is StopReason.PLATEAU


reports = st.lists(st.tuples(st.integers(1, 30), st.floats(-10, 10)), min_size=1, max_size=40)


def first_plateau(steps: list[int], means: list[float], window: int, gain: float) -> int | None:
    """By the definition: some mean stands unbeaten by at least ``gain`` for ``window`` env steps."""
    reference = 0
    for now in range(1, len(steps)):
        if means[now] > means[reference] and means[now] - means[reference] >= gain:
            reference = now
        elif steps[now] - steps[reference] >= window:
            return now
    return None


@given(reports, st.integers(1, 100), st.floats(0, 5))
def test_a_plateau_is_found_at_the_report_where_the_window_has_passed_without_enough_gain(
    given_reports: list[tuple[int, float]], window: int, gain: float
) -> None:
    steps = [sum(step for step, _ in given_reports[: index + 1]) for index in range(len(given_reports))]
    means = [mean for _, mean in given_reports]
    rule = StopRule(Stop(plateau=Plateau(window, gain)))
    found = None
    for index, (step, mean) in enumerate(zip(steps, means, strict=True)):
        if found is None and rule.reason(at(step, mean)) is StopReason.PLATEAU:
            found = index
    assert found == first_plateau(steps, means, window, gain)


@given(st.integers(1, 50), st.integers(2, 200))
def test_steady_gain_is_never_a_plateau(gain_per_report: int, count: int) -> None:
    rule = StopRule(Stop(plateau=Plateau(10, gain_per_report * 2)))
    assert all(rule.reason(at(step * 4, step * gain_per_report)) is None for step in range(count))


@given(reports, st.integers(0, 39))
def test_a_resumed_rule_decides_as_an_uninterrupted_one(
    given_reports: list[tuple[int, float]], cut: int
) -> None:
    stop = Stop(env_steps=400, plateau=Plateau(40, 0.5))
    whole, resumed = StopRule(stop), StopRule(stop)
    step = 0
    for index, (gained, mean) in enumerate(given_reports):
        step += gained
        if index == cut:
            state = json.loads(json.dumps(resumed.snapshot()))
            resumed = StopRule(stop)
            resumed.restore(state)
        assert whole.reason(at(step, mean)) == resumed.reason(at(step, mean))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 1e9), st.none() | st.floats(-1e9, 1e9))
def test_a_job_without_bounds_never_stops(
    steps: int, updates: int, seconds: float, mean: float | None
) -> None:
    assert StopRule(Stop()).reason(Standing(steps, updates, seconds, mean, 100)) is None
