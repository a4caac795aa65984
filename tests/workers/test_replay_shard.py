"""Shards that are drawn from as if they were one buffer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.tree import Tree
from rl_platform.workers.replay_buffer import ReplayBuffer, joined
from rl_platform.workers.replay_draws import (
    PRIORITY,
    SERIAL,
    SLOT,
    WEIGHT,
    Draws,
    Proportional,
    Share,
    Uniform,
)
from rl_platform.workers.replay_shard import MOST_DRAWN, Asked, ReplayShard, ShardBlueprint

SEED = 5
Errors = list[list[float]]
"""Temporal differences of the transitions in each shard."""


def shards_of(errors: Errors, prioritized: bool) -> list[ReplayShard]:
    """Transitions are numbered over all shards."""

    def draws(capacity: int) -> Draws:
        return Proportional(capacity, 0.6) if prioritized else Uniform()

    capacity = max(len(each) for each in errors)
    shards, first = [], 0
    for each in errors:
        shard = ReplayShard(ShardBlueprint(("it",), capacity, SEED, draws, 0))
        shard.keep(0, lambda data: data)  # type: ignore[arg-type,return-value]  # transitions as they are
        if each:
            shard.add(["it"], 0, {"it": transitions(each, first, prioritized)})  # type: ignore[dict-item]
        shards.append(shard)
        first += len(each)
    return shards


def transitions(errors: list[float], first: int, prioritized: bool) -> Tree:
    more = {PRIORITY: np.array(errors, np.float32)} if prioritized else {}
    return {"x": np.arange(first, first + len(errors))} | more


def drawn(
    shards: list[ReplayShard], number: int, shape: tuple[int, int], masses: tuple[float, ...] | None = None
) -> Tree:
    fills = [shard.answer().fills["it"] for shard in shards]
    masses, size = masses or tuple(fill.mass for fill in fills), sum(fill.size for fill in fills)
    parts = [
        shard.draw({"it": Asked(number, Share(masses, size, index))}, shape, 0.5)[1]["it"]
        for index, shard in enumerate(shards)
        if masses[index]
    ]
    assert sum(len(where) for where, _ in parts) == shape[0] * shape[1]
    return joined(shape, parts)


error = st.floats(-10, 10, width=32)


@pytest.mark.parametrize("prioritized", [False, True])
@given(
    errors=st.lists(st.lists(error, max_size=9), min_size=1, max_size=4).filter(any),
    number=st.integers(1, 10**6),
)
def test_they_give_what_one_buffer_of_all_their_transitions_would(
    errors: Errors, number: int, prioritized: bool
) -> None:
    together = [each for shard in errors for each in shard]
    capacity = len(together)
    buffer = ReplayBuffer(capacity, SEED, Proportional(capacity, 0.6) if prioritized else Uniform())
    buffer.add(transitions(together, 0, prioritized))
    buffer.draws = number - 1
    one, many = buffer.sample(3, 7, 0.5), drawn(shards_of(errors, prioritized), number, (3, 7))
    assert {*one} - {SLOT, SERIAL} == {*many}
    np.testing.assert_array_equal(one["x"], many["x"])
    if prioritized:
        np.testing.assert_allclose(one[WEIGHT], many[WEIGHT], rtol=1e-5)


def test_masses_of_another_moment_are_made_up_for_by_the_weights() -> None:
    """The shares follow the masses that were told; inside a shard and in the weights it is as it is."""
    errors = [[1.0, 2.0], [4.0, 0.5, 0.5]]
    shards = shards_of(errors, prioritized=True)
    sample = drawn(shards, 3, (4000, 8), masses=(3.0, 1.0))
    inside = [np.power(np.abs(each) + 1e-6, 0.6) for each in map(np.array, errors)]
    chance = np.concatenate([0.75 * inside[0] / inside[0].sum(), 0.25 * inside[1] / inside[1].sum()])
    share = np.bincount(sample["x"].ravel(), minlength=5) / sample["x"].size
    np.testing.assert_allclose(share, chance, atol=0.004)
    weight = (5 * chance[sample["x"]]) ** -0.5
    np.testing.assert_allclose(sample[WEIGHT], weight / weight.max(axis=1, keepdims=True), rtol=1e-5)


def test_new_priorities_come_to_those_that_were_drawn() -> None:
    shards = shards_of([[1.0, 1.0], [1.0, 1.0]], prioritized=True)
    sample = drawn(shards, 1, (1, 4))
    assert sorted(sample["x"][0]) == [0, 1, 2, 3], "a stretch each"
    for shard in shards:
        assert shard.update_priorities("it", 1, {"td_error": sample["x"].astype(np.float32)}).late == 0
    weights = [shard.buffers["it"].drawing.snapshot(2)[1][PRIORITY] for shard in shards]
    np.testing.assert_allclose(np.concatenate(weights), np.power(np.arange(4) + 1e-6, 0.6), rtol=1e-4)


def test_what_is_overwritten_or_was_drawn_long_ago_keeps_its_priority() -> None:
    (shard,) = shards_of([[1.0, 1.0, 1.0]], prioritized=True)
    drawn([shard], 1, (1, 3))
    shard.add(["it"], 0, {"it": transitions([1.0, 1.0], 3, True)})  # type: ignore[dict-item]
    assert shard.update_priorities("it", 1, {"td_error": np.full((1, 3), 9.0)}).late == 2
    for number in range(2, MOST_DRAWN + 3):
        drawn([shard], number, (1, 3))
    before = shard.answer().fills
    assert shard.update_priorities("it", 2, {"td_error": np.full((1, 3), 90.0)}).fills == before
    assert shard.update_priorities("it", MOST_DRAWN, {"td_error": np.full((1, 3), 90.0)}).fills != before
