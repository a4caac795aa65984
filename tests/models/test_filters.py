"""Filters: merged from any cuts they equal numpy's own moments, and they survive a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.moments import Moments
from rl_platform.data.spaces import Leaf, Spaces
from rl_platform.models.filters import PolicyFilters
from tests.models import policies as p

SPACES = Spaces({"obs/a": Leaf("box", (3,), "float32"), "obs/b": Leaf("box", (), "float32")}, p.DISCRETE)


def moments_of(values: np.ndarray) -> Moments:
    values = values.astype(np.float64)
    mean = values.mean(0)
    return Moments(len(values), mean, ((values - mean) ** 2).sum(0))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(1, 59), max_size=5, unique=True),
    offset=st.sampled_from([0.0, 1e4]),
)
def test_filters_do_not_depend_on_how_experience_was_cut(seed: int, cuts: list[int], offset: float) -> None:
    rng = np.random.default_rng(seed)
    a, ret = rng.standard_normal((60, 3)) * [1, 5, 0.1] + offset, rng.standard_normal(60) * 7
    filters = PolicyFilters(SPACES, ("obs/a", "obs/b"), returns=True)
    for part in np.split(np.arange(60), sorted(cuts)):
        filters.merge({"obs/a": moments_of(a[part]), "return": moments_of(ret[part])})
    knobs = filters.knobs()
    np.testing.assert_allclose(knobs["filter/obs/a/mean"], a.mean(0), rtol=1e-6)
    np.testing.assert_allclose(knobs["filter/obs/a/scale"], 1 / a.std(0), rtol=1e-4)
    np.testing.assert_allclose(knobs["filter/return/scale"], 1 / ret.std(), rtol=1e-4)
    assert "filter/return/mean" not in knobs
    assert all(knob.dtype == np.float32 for knob in knobs.values())
    np.testing.assert_array_equal(knobs["filter/obs/b/mean"], 0)
    np.testing.assert_array_equal(knobs["filter/obs/b/scale"], 1)


def test_a_filter_that_has_seen_nothing_changes_nothing() -> None:
    knobs = PolicyFilters(SPACES, ("obs/a",), returns=True).knobs()
    np.testing.assert_array_equal(knobs["filter/obs/a/mean"], np.zeros(3))
    np.testing.assert_array_equal(knobs["filter/obs/a/scale"], np.ones(3))
    np.testing.assert_array_equal(knobs["filter/return/scale"], 1)


def test_a_constant_observation_has_a_finite_scale() -> None:
    filters = PolicyFilters(SPACES, ("obs/b",))
    filters.merge({"obs/b": moments_of(np.full(10, 3.0))})
    assert np.isfinite(filters.knobs()["filter/obs/b/scale"])


def test_a_restored_filter_goes_on_exactly_where_the_saved_one_was() -> None:
    rng = np.random.default_rng(0)
    filters, again = (PolicyFilters(SPACES, ("obs/a", "obs/b"), returns=True) for _ in range(2))
    filters.merge(
        {"obs/a": moments_of(rng.standard_normal((9, 3))), "return": moments_of(rng.standard_normal(9))}
    )
    again.restore(filters.snapshot())
    more = {"obs/a": moments_of(rng.standard_normal((5, 3))), "obs/b": moments_of(rng.standard_normal(5))}
    for each in (filters, again):
        each.merge(more)
    for name, array in filters.snapshot().items():
        np.testing.assert_array_equal(again.snapshot()[name], array)


def test_a_snapshot_is_not_changed_by_later_merges() -> None:
    filters = PolicyFilters(SPACES, ("obs/b",))
    filters.merge({"obs/b": moments_of(np.arange(4.0))})
    saved = filters.snapshot()
    before = {name: array.copy() for name, array in saved.items()}
    filters.merge({"obs/b": moments_of(np.arange(9.0))})
    for name, array in before.items():
        np.testing.assert_array_equal(saved[name], array)


def test_what_does_not_belong_to_the_filter_is_refused() -> None:
    filters = PolicyFilters(SPACES, ("obs/a",))
    with pytest.raises(ValueError, match=r"moments of 'obs/a' have shape \(2,\), the filter has \(3,\)"):
        filters.merge({"obs/a": moments_of(np.ones((4, 2)))})
    with pytest.raises(ValueError, match="no obs/a/count"):
        filters.restore({})
    saved = filters.snapshot()
    with pytest.raises(ValueError, match=r"shape \(3,\), the checkpoint's \(2,\)"):
        filters.restore({**saved, "obs/a/mean": np.zeros(2)})


def test_moments_without_a_filter_are_ignored() -> None:
    filters = PolicyFilters(SPACES, ())
    filters.merge({"obs/a": moments_of(np.ones((4, 3)))})
    assert filters.knobs() == {}
