from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.workers.sum_tree import SumTree

Puts = list[list[tuple[int, float]]]


@given(
    capacity=st.integers(1, 40),
    puts=st.lists(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1e6)), max_size=20), max_size=6),
)
def test_every_node_is_the_sum_of_its_leaves(capacity: int, puts: Puts) -> None:
    tree, expected = SumTree(capacity), np.zeros(capacity)
    for put in puts:
        slots = np.array([slot % capacity for slot, _ in put], np.int64)
        weights = np.array([weight for _, weight in put])
        tree.put(slots, weights)
        for slot, weight in zip(slots, weights, strict=True):
            expected[slot] = weight
    np.testing.assert_array_equal(tree.weights(np.arange(capacity)), expected)
    assert tree.total == pytest.approx(expected.sum(), rel=1e-12)
    assert not tree.nodes[tree.leaves + capacity :].any()


@given(
    seed=st.integers(0, 2**32 - 1),
    weights=st.lists(st.floats(0.0, 1e3), min_size=1, max_size=33).filter(lambda it: sum(it) > 1e-3),
)
def test_a_point_lies_in_the_stretch_of_its_slot(seed: int, weights: list[float]) -> None:
    tree = SumTree(len(weights))
    tree.put(np.arange(len(weights)), np.array(weights))
    points = np.random.default_rng(seed).random((3, 5)) * tree.total
    edges = np.concatenate([[0.0], np.cumsum(weights)])
    for point, slot in zip(points.ravel(), tree.find(points).ravel(), strict=True):
        assert weights[slot] > 0
        assert edges[slot] - 1e-9 * tree.total <= point <= edges[slot + 1] + 1e-9 * tree.total


def test_a_point_at_the_very_end_finds_a_slot_that_has_a_weight() -> None:
    tree = SumTree(5)
    tree.put(np.array([1, 2]), np.array([0.1, 0.2]))
    assert tree.find(np.array([0.0, tree.total, np.nextafter(tree.total, 1)])).tolist() == [1, 2, 2]


def test_without_weights_there_is_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        SumTree(3).find(np.zeros(1))
