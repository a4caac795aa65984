from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_draws import PRIORITY, SERIAL, SLOT, WEIGHT, Proportional


def filled(errors: list[float], exponent: float = 0.6, capacity: int | None = None) -> ReplayBuffer:
    capacity = capacity or len(errors)
    buffer = ReplayBuffer(capacity, 7, Proportional(capacity, exponent))
    buffer.add({"x": np.arange(len(errors)), PRIORITY: np.array(errors, np.float32)})
    return buffer


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0])
def test_it_draws_in_proportion_and_weighs_against_it(exponent: float) -> None:
    errors = [0.0, -0.5, 1.0, 2.0, -4.0]
    sample = filled(errors, exponent).sample(400, 50, correction=0.7)
    priority = (np.abs(errors) + 1e-6) ** exponent
    chance = priority / priority.sum()
    share = np.bincount(sample["x"].ravel(), minlength=5) / sample["x"].size
    np.testing.assert_allclose(share, chance, atol=0.003)  # 20,000 draws, in stretches of 50
    weight = (5 * chance[sample["x"]]) ** -0.7
    weight /= weight.max(axis=1, keepdims=True)
    np.testing.assert_allclose(sample[WEIGHT], weight, rtol=1e-5)
    assert sample[WEIGHT].dtype == np.float32


def test_fully_corrected_the_mean_is_that_of_uniform_draws() -> None:
    """Where the weights are not divided by their largest, sum w f / U B is unbiased for the mean of f."""
    errors = [0.1, 1.0, 3.0, 0.2]
    sample = filled(errors, 1.0).sample(2000, 4, correction=1.0)
    f = np.array([5.0, -1.0, 2.0, 0.5])
    chance = (np.abs(errors) + 1e-6) / (np.abs(errors) + 1e-6).sum()
    assert np.mean(f[sample["x"]] / (4 * chance[sample["x"]])) == pytest.approx(f.mean(), abs=0.1)


def test_new_transitions_get_the_largest_priority_so_far() -> None:
    buffer = ReplayBuffer(4, 0, Proportional(4, 1.0))
    buffer.add({"x": np.arange(2)})
    sample = buffer.sample(1, 2)
    assert sorted(sample["x"][0].tolist()) == [0, 1], "a stretch each"
    buffer.update_priorities(sample, np.array([[3.0, 0.5]]))
    buffer.add({"x": np.arange(2, 4)})
    weights = buffer.drawing.snapshot(4)[1][PRIORITY]
    np.testing.assert_allclose(sorted(weights), [0.5, 3.0, 3.0, 3.0], atol=1e-5)


def test_priorities_of_what_is_overwritten_by_now_are_left_out_and_counted() -> None:
    buffer = filled([1.0, 1.0, 1.0])
    sample = buffer.sample(1, 3)
    buffer.add({"x": np.array([3, 4]), PRIORITY: np.array([1.0, 1.0], np.float32)})
    before = buffer.drawing.snapshot(3)[1][PRIORITY].copy()
    assert buffer.update_priorities(sample, np.full((1, 3), 9.0)) == 2
    after = buffer.drawing.snapshot(3)[1][PRIORITY]
    assert np.flatnonzero(after != before).tolist() == [2]


@given(
    old=st.integers(1, 9),
    grown=st.integers(0, 9),
    counts=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_a_snapshot_draws_on_as_if_nothing_had_happened(
    old: int, grown: int, counts: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    buffer = ReplayBuffer(old, 1, Proportional(old, 0.6))
    for count in counts:
        buffer.add({"x": np.arange(count)})
        sample = buffer.sample(1, 3)
        buffer.update_priorities(sample, rng.normal(size=(1, 3)) * 10)
    position, columns = buffer.snapshot()
    other = ReplayBuffer(old + grown, 1, Proportional(old + grown, 0.6))
    other.restore(position, columns)
    np.testing.assert_allclose(
        np.sort(other.drawing.snapshot(other.size)[1][PRIORITY]), np.sort(columns[PRIORITY])
    )
    if not grown:
        one, same = buffer.sample(2, 3, 0.5), other.sample(2, 3, 0.5)
        for name, leaf in one.items():
            np.testing.assert_array_equal(leaf, same[name], err_msg=name)
    sample = other.sample(2, 3)
    assert other.update_priorities(sample, np.ones((2, 3))) == 0
    other.add({"x": np.arange(old + grown)})
    assert other.update_priorities(sample, np.ones((2, 3))) == 6


def test_a_sample_says_whose_it_is() -> None:
    sample = filled([1.0, 2.0]).sample(2, 3)
    assert {SLOT, SERIAL, WEIGHT, "x"} == set(sample)
    assert sample[SLOT].shape == (2, 3)
