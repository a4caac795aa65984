from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_draws import PRIORITY, Proportional
from rl_platform.workers.resharding import Saved, resharded

CAPACITY = 6


def saved(rounds: list[int]) -> list[Saved]:
    """Shards that so many transitions came to, numbered in the order in which they came, in turn."""
    buffers = [ReplayBuffer(CAPACITY, 1, Proportional(CAPACITY, 1.0)) for _ in rounds]
    number = 0
    for turn in range(max(rounds)):
        for buffer, count in zip(buffers, rounds, strict=True):
            if turn < count:
                error = np.array([number + 1], np.float32)
                buffer.add({"x": np.array([number]), PRIORITY: error})
                number += 1
    return [buffer.snapshot() for buffer in buffers]


@given(rounds=st.lists(st.integers(0, 15), min_size=1, max_size=4).filter(any), count=st.integers(1, 5))
def test_every_transition_is_in_one_of_them_with_its_priority(rounds: list[int], count: int) -> None:
    before = saved(rounds)
    capacity = -(-CAPACITY * len(rounds) // count)
    found: dict[int, float] = {}
    sizes = []
    for position, columns in resharded(before, count):
        buffer = ReplayBuffer(max(capacity, CAPACITY), 1, Proportional(max(capacity, CAPACITY), 1.0))
        buffer.restore(position, columns)
        sizes.append(buffer.size)
        if buffer.size:
            buffer.sample(2, 3)
            weights = buffer.drawing.snapshot(buffer.size)[1][PRIORITY]
            found |= dict(zip(buffer.columns["x"][: buffer.size].tolist(), weights.tolist(), strict=True))
        buffer.add({"x": np.array([-1]), PRIORITY: np.ones(1, np.float32)})
    kept = sorted(int(x) for _, columns in before for x in columns.get("x", ()))
    assert sorted(found) == kept
    np.testing.assert_allclose(list(found.values()), np.array(list(found)) + 1, rtol=1e-5)
    assert sum(sizes) == len(kept)
    if count != len(rounds):
        assert max(sizes) - min(sizes) <= 1


def test_the_oldest_of_all_shards_is_overwritten_first() -> None:
    """Eight transitions came to each of two shards of six, so 4 to 15 are left, in one ring by age."""
    ((position, columns),) = resharded(saved([8, 8]), 1)
    assert columns["x"].tolist() == list(range(4, 16))
    buffer = ReplayBuffer(12, 1, Proportional(12, 1.0))
    buffer.restore(position, columns)
    buffer.add({"x": np.array([16]), PRIORITY: np.ones(1, np.float32)})
    assert sorted(buffer.columns["x"].tolist()) == list(range(5, 17))
