from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import TERMINATED, TRUNCATED, Trajectory
from rl_platform.objectives.gae import gae
from rl_platform.objectives.vtrace import LOG_PROBABILITY, VALUE, vtrace
from tests.trajectories import Stream, fragments, stream


def off_policy(trajectory: Trajectory, ratio: np.ndarray) -> Trajectory:
    """As the learner assesses it: the actor's values are the learner's, the log-probabilities are not.

    ``ratio`` [K+T+1, L] is that of the learner's policy to the actor's.
    """
    acted = np.full_like(ratio, -1.0)
    extra = {VALUE: trajectory.extra["value"], LOG_PROBABILITY: acted + np.log(ratio)}
    ends = replace(trajectory.final, extra={VALUE: trajectory.final.extra["value"]})
    return replace(trajectory, extra={**extra, "log_probability": acted}, final=ends)


def by_the_paper(
    source: Stream, start: int, ratio: np.ndarray, gamma: float, lam: float, limits: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Targets v of equation 1 as written, sums over products, and the advantages of section 4.2."""
    length = len(ratio)
    rho, c = np.minimum(limits[0], ratio), lam * np.minimum(limits[1], ratio)
    value = source.value[start : start + length].astype(float)
    reward = source.reward[start : start + length].astype(float)
    ended = source.flags[start : start + length] & (TERMINATED | TRUNCATED)
    following = source.value[start + 1 : start + length + 1].astype(float)
    for i in np.flatnonzero(ended):
        following[i] = 0.0 if ended[i] & TERMINATED else source.final_value[start + i]
    target = value.copy()
    for t in range(length):
        for i in range(t, length):
            product = np.prod(c[t:i])
            target[t] += gamma ** (i - t) * product * rho[i] * (reward[i] + gamma * following[i] - value[i])
            if ended[i]:
                break
    after = np.array([following[t] if ended[t] or t == length - 1 else target[t + 1] for t in range(length)])
    return target, rho * (reward + gamma * after - value)


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    look_back=st.integers(0, 2),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
    limits=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
)
def test_targets_and_advantages_are_those_of_the_paper_for_lanes_of_any_length(
    seed: int,
    lengths: list[int],
    look_back: int,
    gamma: float,
    lam: float,
    limits: tuple[float, float],
) -> None:
    rng = np.random.default_rng(seed)
    streams = [stream(rng, 16) for _ in lengths]
    trajectory = fragments(streams, [[3, length] for length in lengths], 7, look_back)[1]
    ratio = np.exp(rng.normal(size=(look_back + 8, len(lengths)))).astype(np.float32)
    columns = vtrace(gamma, lam, *limits)(off_policy(trajectory, ratio), {}, {})
    for lane, length in enumerate(lengths):
        mine = ratio[look_back : look_back + length, lane]
        target, advantage = by_the_paper(streams[lane], 3, mine, gamma, lam, limits)
        np.testing.assert_allclose(columns["return"][:length, lane], target, rtol=1e-4, atol=2e-4)
        np.testing.assert_allclose(columns["advantage"][:length, lane], advantage, rtol=1e-4, atol=4e-4)
        assert not columns["advantage"][length:, lane].any()
        assert not columns["return"][length:, lane].any()


@given(seed=st.integers(0, 2**32 - 1), gamma=st.floats(0, 1), rows=st.integers(1, 8))
def test_on_the_actors_own_policy_it_is_the_n_step_return(seed: int, gamma: float, rows: int) -> None:
    """Limits of 1 and above cut nothing there: remark 1 of the paper."""
    rng = np.random.default_rng(seed)
    trajectory = fragments([stream(rng, rows) for _ in range(3)], [[rows]] * 3, rows, 0)[0]
    told = off_policy(trajectory, np.ones((rows + 1, 3), np.float32))
    corrected = vtrace(gamma, 1.0, 1.0, 1.0)(told, {}, {})
    for name, column in gae(gamma, 1.0)(trajectory, {}, {}).items():
        np.testing.assert_allclose(corrected[name], column, rtol=1e-4, atol=1e-4)


@given(seed=st.integers(0, 2**32 - 1), gamma=st.floats(0, 1), lam=st.floats(0, 1))
def test_below_lambda_one_the_targets_are_lambda_returns(seed: int, gamma: float, lam: float) -> None:
    rng = np.random.default_rng(seed)
    trajectory = fragments([stream(rng, 6)], [[6]], 6, 0)[0]
    corrected = vtrace(gamma, lam)(off_policy(trajectory, np.ones((7, 1), np.float32)), {}, {})
    expected = gae(gamma, lam)(trajectory, {}, {})["return"]
    np.testing.assert_allclose(corrected["return"], expected, rtol=1e-4, atol=1e-4)


def test_rewards_that_a_recipe_scaled_are_the_ones_used() -> None:
    trajectory = off_policy(
        fragments([stream(np.random.default_rng(0), 8)], [[4]], 4, 0)[0], np.ones((5, 1), np.float32)
    )
    zero = vtrace(0.9)(trajectory, {"reward": np.zeros((4, 1), np.float32)}, {})["advantage"]
    assert not np.allclose(zero, vtrace(0.9)(trajectory, {}, {})["advantage"])
