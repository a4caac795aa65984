"""Episodes are told in few bytes, and nothing of them is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rl_platform.workers.episode import Episode, packed, unpacked

NUMBERS = st.floats(allow_nan=False)
EPISODES = st.lists(
    st.builds(
        Episode,
        NUMBERS,
        st.integers(0, 2**53),
        st.dictionaries(st.sampled_from(["red", "blue", "grün"]), st.lists(NUMBERS, max_size=3)),
    ),
    max_size=20,
)


@given(EPISODES)
def test_they_are_the_same_afterwards(episodes: list[Episode]) -> None:
    again = unpacked(packed(episodes))
    assert again == episodes
    assert all(type(it.length) is int and type(it.episode_return) is float for it in again)


def test_fifty_short_ones_take_two_bytes_each() -> None:
    episodes = [Episode(9.0 + step % 40, 9 + step % 40, {"default": [9.0 + step % 40]}) for step in range(50)]
    assert len(packed(episodes)[2]) < 100 + len(episodes)
