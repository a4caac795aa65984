"""What is wrong is noticed and named; what is only slow, long or large is left alone."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.driver.guard import Bounds, DivergenceGuard, Observed, episode_bound
from rl_platform.spec.conditions import FailureReason
from rl_platform.workers.weights import WeightSummary, summary_of


def report(
    step: int = 1, seconds: float | None = None, episodes: int | None = None, **metrics: float
) -> Observed:
    return Observed(
        env_steps=step * 100,
        updates=step,
        episodes=step if episodes is None else episodes,
        wall_seconds=float(step) if seconds is None else seconds,
        metrics={f"train/default/{name}": value for name, value in metrics.items()},
    )


def flat(*values: float) -> dict[str, WeightSummary]:
    return {"default": summary_of(np.array(values, np.float32), [slice(0, len(values))])}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["policy_loss", "value_loss", "loss", "gradient_norm"])
def test_a_loss_that_is_not_a_number_is_named_at_once(name: str, bad: float) -> None:
    trouble = DivergenceGuard().check(report(3, **{name: bad}))
    assert trouble is not None
    assert trouble.reason is FailureReason.NOT_A_NUMBER
    assert f"train/default/{name} is {bad} (at env step 300, update 3)" in trouble.message


def test_an_undefined_statistic_is_no_reason_to_stop() -> None:
    assert DivergenceGuard().check(report(explained_variance=math.nan, approximate_kl=math.inf)) is None
    for name in ("rollout/episode_return_mean", "rollout/imitation_loss", "losses"):
        assert DivergenceGuard().check(Observed(1, 1, 1, 1.0, {name: math.nan})) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_a_number_is_counted_and_its_policy_named(bad: float) -> None:
    trouble = DivergenceGuard().check(report(), flat(1.0, bad, 0.0, bad))
    assert trouble is not None
    assert trouble.reason is FailureReason.NOT_A_NUMBER
    assert "2 of the 4 weights of policy 'default'" in trouble.message


def run(guard: DivergenceGuard, count: int, **metrics: float) -> list[object]:
    return [guard.check(report(step, **metrics)) for step in range(1, count + 1)]


def test_a_loss_beyond_its_bound_diverges_only_after_so_many_reports_in_a_row() -> None:
    guard = DivergenceGuard(Bounds(loss=100.0, reports=3))
    assert run(guard, 2, value_loss=-101.0) == [None, None]
    assert guard.suspects
    assert run(guard, 1, value_loss=100.0) == [None], "one within the bound begins anew"
    assert not guard.suspects
    *before, last = run(guard, 3, value_loss=101.0)
    assert before == [None, None]
    assert last is not None
    assert last.reason is FailureReason.DIVERGED
    assert "train/default/value_loss was above 100 in 3 reports in a row, now 101" in last.message


def test_weights_that_explode_diverge_even_where_their_square_overflows() -> None:
    guard = DivergenceGuard(Bounds(reports=2))
    assert guard.check(report(1), flat(1e30, 1e30)) is None
    trouble = guard.check(report(2), flat(1e30, 1e30))
    assert trouble is not None
    assert trouble.reason is FailureReason.DIVERGED
    assert "weights of policy 'default'" in trouble.message


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=30), st.floats(-900, 900, width=32))
def test_large_but_sound_figures_never_stop_a_run(losses: list[float], weight: float) -> None:
    guard = DivergenceGuard()
    for step, loss in enumerate(losses, 1):
        assert guard.check(report(step, policy_loss=loss), flat(weight, 0.0)) is None


def test_a_run_that_neither_steps_nor_learns_stands_still() -> None:
    guard = DivergenceGuard(Bounds(idle_seconds=60))
    assert guard.check(report(5, seconds=0.0)) is None
    assert guard.check(report(5, seconds=60.0)) is None
    trouble = guard.check(report(5, seconds=61.0))
    assert trouble is not None
    assert trouble.reason is FailureReason.NO_PROGRESS
    assert "no env step and no update for 61 seconds" in trouble.message


def test_learning_without_env_steps_and_stepping_without_updates_is_work() -> None:
    guard = DivergenceGuard(Bounds(idle_seconds=60))
    for step in range(10):
        assert guard.check(Observed(500, step, 1, step * 50.0)) is None
    for step in range(10):
        assert guard.check(Observed(500 + step, 9, 1, 500 + step * 50.0)) is None


def test_endless_episodes_and_late_updates_are_left_alone_unless_a_bound_is_known() -> None:
    guard = DivergenceGuard()
    for step in range(1, 50):
        assert guard.check(Observed(step * 10**9, 0, 0, float(step))) is None


@given(st.integers(1, 2000), st.integers(1, 64), st.integers(1, 300))
def test_an_environment_that_keeps_its_limit_never_stands_still(limit: int, lanes: int, count: int) -> None:
    bound = episode_bound(limit, lanes)
    guard = DivergenceGuard(Bounds(episode_env_steps=bound))
    for tick in range(0, count * limit, limit):
        episodes = lanes * (tick // limit)
        assert guard.check(Observed(tick * lanes, tick, episodes, float(tick))) is None


def test_no_finished_episode_within_the_bound_of_a_limited_environment_is_noticed() -> None:
    bound = episode_bound(500, 8)
    assert bound == 40_000
    guard = DivergenceGuard(Bounds(episode_env_steps=bound))
    assert guard.check(Observed(0, 0, 0, 0.0)) is None
    assert guard.check(Observed(40_000, 1, 0, 1.0)) is None
    trouble = guard.check(Observed(40_008, 2, 0, 2.0))
    assert trouble is not None
    assert (trouble.reason, "no episode has ended within 40008 env steps" in trouble.message) == (
        FailureReason.NO_PROGRESS,
        True,
    )
    assert episode_bound(None, 8) is None


def test_no_update_within_the_bound_is_noticed_and_a_rollback_is_not_standing_still() -> None:
    guard = DivergenceGuard(Bounds(update_env_steps=1000))
    assert guard.check(Observed(0, 5, 0, 0.0)) is None
    assert guard.check(Observed(900, 3, 0, 1.0)) is None
    assert guard.check(Observed(1900, 3, 0, 2.0)) is None
    trouble = guard.check(Observed(1901, 3, 0, 3.0))
    assert trouble is not None
    assert "no update was made within 1001 env steps" in trouble.message


@given(st.lists(st.sampled_from([1.0, 200.0]), min_size=20, max_size=60), st.integers(1, 19))
def test_a_resumed_guard_decides_as_an_uninterrupted_one(losses: list[float], cut: int) -> None:
    bounds = Bounds(loss=100.0, reports=3, idle_seconds=3, episode_env_steps=900, update_env_steps=400)
    whole, resumed = DivergenceGuard(bounds), DivergenceGuard(bounds)
    for step, loss in enumerate(losses):
        if step == cut:
            state = json.loads(json.dumps(resumed.snapshot()))
            resumed = DivergenceGuard(bounds)
            resumed.restore(state, {})
        metrics = {"train/default/loss": loss}
        observed = Observed(step // 3 * 100, step // 15, step // 20, step * 2.0, metrics)
        assert whole.check(observed) == resumed.check(observed)
