from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import Trajectory
from rl_platform.objectives.n_step import n_step
from rl_platform.workers.replay_draws import PRIORITY
from tests.objectives.test_n_step import reference
from tests.trajectories import fragments, stream


def scored(trajectory: Trajectory) -> Trajectory:
    """The actor's Q of what it did is a known function of the observation."""
    own = np.sin(trajectory.obs["obs"]).astype(np.float32)
    return replace(trajectory, extra={**trajectory.extra, "action_value": own})


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    cuts=st.lists(st.lists(st.integers(0, 6), min_size=5, max_size=5), min_size=1, max_size=3),
)
def test_priorities_are_the_temporal_differences_of_what_the_actor_said(
    seed: int, n: int, cuts: list[list[int]]
) -> None:
    rng = np.random.default_rng(seed)
    streams = [stream(rng, 40) for _ in cuts]
    seen: list[tuple[float, float]] = []
    for trajectory in fragments(streams, cuts, 6, n - 1):
        columns = n_step(n, 0.9, prioritized=True)(scored(trajectory))
        seen += list(zip(columns["obs"], columns[PRIORITY], strict=True))
    expected: list[tuple[float, float]] = []
    for source, cut in zip(streams, cuts, strict=True):
        value_of = dict(zip(source.obs, source.value, strict=True))
        value_of |= {source.final[t]: source.final_value[t] for t in source.final}
        for obs, reward, discount, following in reference(source, sum(cut), n, 0.9):
            target = reward + (discount * value_of[following] if discount else 0.0)
            expected.append((obs, target - np.sin(np.float32(obs))))
    assert len(seen) == len(expected)
    if expected:
        np.testing.assert_allclose(sorted(seen), sorted(expected), rtol=1e-3, atol=1e-3)
