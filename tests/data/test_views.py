from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import FIRST, Trajectory
from rl_platform.data.views import View, gather_view, window
from tests.trajectories import Stream, fragments, stream

OFFSETS = (-3, -2, 0)


def expected(column: np.ndarray, source: Stream, t: int, offsets: tuple[int, ...]) -> list[float | None]:
    """The window at step t of an uncut stream; None before the life began."""
    begin = max([s for s in range(min(t, len(source.flags) - 1) + 1) if source.flags[s] & FIRST])
    if t == len(source.flags) and source.flags[t - 1] & 6:
        begin = t
    return [float(column[t + o]) if t + o >= begin else None for o in offsets]


def with_nonsense_beyond(fragment: Trajectory) -> Trajectory:
    """Flags in rows that no lane has filled may say anything."""
    row = np.arange(len(fragment.flags))[:, None] - fragment.look_back
    filled = (row >= -fragment.back) & (row < fragment.length)
    return replace(fragment, flags=np.where(filled, fragment.flags, 7).astype(np.uint8))


def shown(values: np.ndarray, valid: np.ndarray) -> list[float | None]:
    assert (values[~valid] == 0).all()
    return [float(v) if ok else None for v, ok in zip(values, valid, strict=True)]


LENGTHS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=6)


@given(st.integers(0, 2**32), LENGTHS)
def test_a_view_of_cut_fragments_equals_that_of_the_uncut_stream(seed: int, lengths: list[list[int]]) -> None:
    rng = np.random.default_rng(seed)
    cuts = [list(column) for column in zip(*lengths, strict=True)]  # by lane
    steps = [sum(cut) for cut in cuts]
    streams = [stream(rng, total + 1) for total in steps]
    position = [0, 0, 0]
    for fragment in fragments(streams, cuts, rows=4, look_back=3):
        fragment = with_nonsense_beyond(fragment)
        values, valid = gather_view(fragment, View("obs", OFFSETS), last=True)
        rewards, paid = gather_view(fragment, View("reward", (-2, -1)))
        for lane, source in enumerate(streams):
            length = int(fragment.length[lane])
            for t in range(length + 1):
                got = shown(values[t, lane], valid[t, lane])
                assert got == expected(source.obs, source, position[lane] + t, OFFSETS)
            for t in range(length):
                got = shown(rewards[t, lane], paid[t, lane])
                assert got == expected(source.reward, source, position[lane] + t, (-2, -1))
            assert not valid[length + 1 :, lane].any()
            assert not paid[length:, lane].any()
            position[lane] += length


def test_the_actors_window_agrees_with_the_learners() -> None:
    rng = np.random.default_rng(3)
    streams = [stream(rng, 40) for _ in range(3)]
    (fragment,) = fragments(streams, [[40]] * 3, rows=40, look_back=3)
    values, valid = gather_view(fragment, View("obs", OFFSETS))
    lane, start = np.arange(3), np.full(3, 3)
    for t in range(40):
        row = np.full(3, 3 + t)
        start = np.where(fragment.flags[row, lane] & FIRST, row, start)
        seen, known = window(fragment.obs["obs"], start, row, lane, OFFSETS)
        np.testing.assert_array_equal(seen, values[t])
        np.testing.assert_array_equal(known, valid[t])


def test_rows_from_before_the_look_back_are_not_valid() -> None:
    source = stream(np.random.default_rng(0), 9, end=0.0)
    (_, fragment) = fragments([source], [[4, 4]], rows=4, look_back=3)
    _, whole = gather_view(fragment, View("obs", OFFSETS))
    _, less = gather_view(replace(fragment, back=np.array([1], np.int32)), View("obs", OFFSETS))
    assert whole[0, 0].tolist() == [True, True, True]
    assert less[:3, 0].tolist() == [[False, False, True], [False, True, True], [True, True, True]]


def test_a_view_that_an_actor_could_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="none above 0"):
        View("obs/x", (0, 1))
    with pytest.raises(ValueError, match=r"'action'.*none above -1"):
        View("action", (-1, 0))


def test_a_trajectory_without_enough_look_back_is_refused() -> None:
    (fragment,) = fragments([stream(np.random.default_rng(0), 9)], [[8]], rows=8, look_back=2)
    with pytest.raises(ValueError, match="reads 3 rows back, the trajectory holds 2"):
        gather_view(fragment, View("obs", OFFSETS))


def test_an_unknown_path_is_named_with_the_known_ones() -> None:
    (fragment,) = fragments([stream(np.random.default_rng(0), 9)], [[8]], rows=8, look_back=3)
    with pytest.raises(KeyError, match=r"'obs/speed'.*action, obs, reward, value"):
        gather_view(fragment, View("obs/speed", OFFSETS))
