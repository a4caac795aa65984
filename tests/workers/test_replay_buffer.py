from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.workers.replay_buffer import ReplayBuffer


@given(capacity=st.integers(1, 20), counts=st.lists(st.integers(0, 30), max_size=8))
def test_it_holds_exactly_the_newest(capacity: int, counts: list[int]) -> None:
    buffer, everything = ReplayBuffer(capacity, seed=0), np.arange(0)
    for count in counts:
        new = np.arange(len(everything), len(everything) + count)
        everything = np.concatenate([everything, new])
        buffer.add({"x": new})
    if buffer.size:
        assert sorted(buffer.columns["x"][: buffer.size]) == everything[-capacity:].tolist()
    assert buffer.added == len(everything)


@given(old=st.integers(1, 12), new=st.integers(1, 24), count=st.integers(1, 30), more=st.integers(0, 30))
def test_a_snapshot_goes_on_in_a_buffer_of_at_least_its_size(
    old: int, new: int, count: int, more: int
) -> None:
    buffer, other = ReplayBuffer(old, seed=1), ReplayBuffer(new, seed=1)
    buffer.add({"x": np.arange(count)})
    position, columns = buffer.snapshot()
    if position["size"] > new:
        with pytest.raises(ValueError, match="bufferSize"):
            other.restore(position, columns)
        return
    other.restore(position, columns)
    if old == new:
        np.testing.assert_array_equal(buffer.sample(2, 3)["x"], other.sample(2, 3)["x"])
    other.add({"x": np.arange(count, count + more)})
    held = np.arange(count + more)[-new:]
    known = held[held >= count - position["size"]]
    assert sorted(other.columns["x"][: other.size]) == known.tolist()


def test_an_empty_buffer_says_so() -> None:
    with pytest.raises(ValueError, match="empty"):
        ReplayBuffer(4, seed=0).sample(1, 1)
