from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.objectives.gae import gae
from rl_platform.objectives.policy_gradient import policy_gradient
from tests.trajectories import fragments, stream


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9))
def test_the_gradient_is_that_of_the_loss(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    log_probability, advantage = rng.normal(size=rows), rng.normal(size=rows)
    loss, gradient = policy_gradient(log_probability, advantage)
    assert np.isclose(loss, -sum(a * p for a, p in zip(advantage, log_probability, strict=True)) / rows)
    for i in range(rows):
        moved = log_probability.copy()
        moved[i] += 1e-3
        assert np.isclose((policy_gradient(moved, advantage)[0] - loss) / 1e-3, gradient[i], atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 7), gamma=st.floats(0, 1))
def test_with_lambda_one_returns_are_n_step_returns_over_the_fragment(
    seed: int, rows: int, gamma: float
) -> None:
    """Algorithm S3 of the paper: backwards from V of the last observation, anew where an episode ends."""
    source = stream(np.random.default_rng(seed), rows)
    columns = gae(gamma, 1.0)(fragments([source], [[rows]], rows, 0)[0], {}, {})
    following = float(source.value[rows])
    for t in range(rows - 1, -1, -1):
        if source.flags[t] & (TERMINATED | TRUNCATED):
            following = 0.0 if source.flags[t] & TERMINATED else source.final_value[t]
        following = source.reward[t] + gamma * following
        np.testing.assert_allclose(columns["return"][t, 0], following, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            columns["advantage"][t, 0], following - source.value[t], rtol=1e-4, atol=1e-4
        )
