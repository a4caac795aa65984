from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.objectives.gae import gae
from tests.trajectories import Stream, fragments, stream


def by_double_loop(source: Stream, start: int, length: int, gamma: float, lam: float) -> np.ndarray:
    """Equation 16 of the paper as written: sums of discounted temporal differences."""
    delta = np.zeros(length)
    for i in range(length):
        t = start + i
        following = source.value[t + 1]
        if source.flags[t] & TERMINATED:
            following = 0.0
        elif source.flags[t] & TRUNCATED:
            following = source.final_value[t]
        delta[i] = source.reward[t] + gamma * following - source.value[t]
    advantage = np.zeros(length)
    for i in range(length):
        weight = 1.0
        for j in range(i, length):
            advantage[i] += weight * delta[j]
            if source.flags[start + j] & (TERMINATED | TRUNCATED):
                break
            weight *= gamma * lam
    return advantage


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    look_back=st.integers(0, 2),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
)
def test_advantages_equal_the_double_loop_for_lanes_of_any_length(
    seed: int, lengths: list[int], look_back: int, gamma: float, lam: float
) -> None:
    rng = np.random.default_rng(seed)
    streams = [stream(rng, 16) for _ in lengths]
    trajectory = fragments(streams, [[3, length] for length in lengths], 7, look_back)[1]
    columns = gae(gamma, lam)(trajectory, {}, {})
    for lane, length in enumerate(lengths):
        expected = by_double_loop(streams[lane], 3, length, gamma, lam)
        np.testing.assert_allclose(columns["advantage"][:length, lane], expected, rtol=1e-4, atol=1e-4)
        returns = expected + streams[lane].value[3 : 3 + length]
        np.testing.assert_allclose(columns["return"][:length, lane], returns, rtol=1e-4, atol=1e-4)


def test_rewards_that_a_recipe_scaled_are_the_ones_used() -> None:
    trajectory = fragments([stream(np.random.default_rng(0), 8)], [[4]], 4, 0)[0]
    zero = gae(0.9, 0.9)(trajectory, {"reward": np.zeros((4, 1), np.float32)}, {})["advantage"]
    own = gae(0.9, 0.9)(trajectory, {}, {})["advantage"]
    assert not np.allclose(zero, own)
