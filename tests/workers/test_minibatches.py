from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import Trajectory
from rl_platform.workers.minibatches import parts, rows, sequences, shuffled
from tests.trajectories import fragments, stream


@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_rows_are_exactly_the_valid_ones(seed: int, lengths: list[int]) -> None:
    streams = [stream(np.random.default_rng(seed + i), 12) for i in range(len(lengths))]
    trajectory = fragments(streams, [[length] for length in lengths], 6, 2)[0]
    columns = rows([trajectory], (), {})
    expected = sorted(
        float(s.obs[t]) for s, length in zip(streams, lengths, strict=True) for t in range(length)
    )
    assert sorted(columns["obs"].tolist()) == expected


@given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    every=st.integers(1, 8),
)
def test_sequences_hold_every_valid_row_once_with_the_state_stored_before_it(
    seed: int, lengths: list[int], every: int
) -> None:
    streams = [stream(np.random.default_rng(seed + i), 12) for i in range(len(lengths))]
    for lane, source in enumerate(streams):
        source.obs += 100 * lane
    trajectory = fragments(streams, [[length] for length in lengths], 7, 0)[0]
    chunks = -(-7 // every)
    before = trajectory.obs["obs"][0:7:every]  # the state names the row it was stored before
    trajectory = _with_state(trajectory, before.reshape(chunks, len(lengths)), every)
    if not sum(lengths):
        return
    steps, states = sequences([trajectory], (), {})
    valid = steps["valid"]
    expected = sorted(
        float(s.obs[t]) for s, length in zip(streams, lengths, strict=True) for t in range(length)
    )
    assert sorted(steps["obs"][valid].tolist()) == expected
    assert valid[0].all()
    np.testing.assert_array_equal(states["h"], steps["obs"][0])


def _with_state(trajectory: Trajectory, state: np.ndarray, every: int) -> Trajectory:
    fields = {name: getattr(trajectory, name) for name in trajectory.__slots__}
    return Trajectory(**{**fields, "state": {"h": state}, "state_every": every})


@given(total=st.integers(1, 5000), size=st.integers(1, 600))
def test_minibatches_cover_all_rows_and_none_is_tiny(total: int, size: int) -> None:
    slices = parts(total, size)
    assert [i for part in slices for i in range(part.start, part.stop)] == list(range(total))
    lengths = [part.stop - part.start for part in slices]
    assert max(lengths) - min(lengths) <= 1


def test_the_order_depends_on_seed_and_draw_alone() -> None:
    first = [np.concatenate(order) for order in shuffled(64, 16, 2, seed=3, draw=5)]
    again = [np.concatenate(order) for order in shuffled(64, 16, 2, seed=3, draw=5)]
    other = [np.concatenate(order) for order in shuffled(64, 16, 2, seed=3, draw=6)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])
