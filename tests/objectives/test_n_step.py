from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.objectives.n_step import n_step
from tests.trajectories import Stream, fragments, stream

Transition = tuple[float, float, float, float]  # obs, reward, discount, next obs


def reference(source: Stream, steps: int, n: int, gamma: float) -> list[Transition]:
    """Every transition of an uncut stream whose last reward has arrived by ``steps``."""
    result: list[Transition] = []
    for start in range(steps):
        total, count = 0.0, 0
        for count, t in enumerate(range(start, min(start + n, steps)), 1):
            total += gamma ** (count - 1) * source.reward[t]
            ended = source.flags[t] & (TERMINATED | TRUNCATED)
            if ended:
                following = source.final[t] if ended & TRUNCATED else source.obs[t + 1]
                discount = 0.0 if ended & TERMINATED else gamma**count
                result.append((source.obs[start], total, discount, following))
                break
        else:
            if count == n:
                result.append((source.obs[start], total, gamma**n, source.obs[start + n]))
    return result


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 5),
    cuts=st.lists(st.lists(st.integers(0, 6), min_size=5, max_size=5), min_size=1, max_size=3),
)
def test_each_transition_comes_exactly_once_however_lanes_are_cut(
    seed: int, n: int, cuts: list[list[int]]
) -> None:
    rng = np.random.default_rng(seed)
    streams = [stream(rng, 40) for _ in cuts]
    # Lanes tell each other apart by their observations.
    for lane, source in enumerate(streams):
        source.obs += 10_000 * lane
        source.final = {t: value + 10_000 * lane for t, value in source.final.items()}
    seen: list[Transition] = []
    for trajectory in fragments(streams, cuts, 6, n - 1):
        columns = n_step(n, 0.9)(trajectory)
        terminal = columns["discount"] == 0
        following = np.where(terminal, np.nan, columns["next/obs"])
        seen += list(zip(columns["obs"], columns["reward"], columns["discount"], following, strict=True))
    expected = [
        t for source, cut in zip(streams, cuts, strict=True) for t in reference(source, sum(cut), n, 0.9)
    ]
    expected = [(o, r, d, np.nan if d == 0 else f) for o, r, d, f in expected]
    assert len(seen) == len(expected)
    if expected:
        np.testing.assert_allclose(sorted(seen), sorted(expected), rtol=1e-4, atol=1e-4)


@given(seed=st.integers(0, 2**32 - 1), lanes=st.integers(1, 4), look_back=st.integers(0, 2))
def test_whole_fragments_of_single_steps_are_what_the_search_for_them_finds(
    seed: int, lanes: int, look_back: int
) -> None:
    rng = np.random.default_rng(seed)
    streams = [stream(rng, 30) for _ in range(lanes)]
    for trajectory in fragments(streams, [[5] * 4] * lanes, 5, look_back):
        assert trajectory.full
        found = n_step(1, 0.9)(trajectory)
        searched = n_step(1, 0.9)(replace(trajectory, full=False))
        assert found.keys() == searched.keys()
        for name, column in searched.items():
            valid = searched["discount"] > 0 if name.startswith("next/") else slice(None)
            np.testing.assert_array_equal(found[name][valid], column[valid])
            assert found[name].dtype == column.dtype


def test_too_few_look_back_rows_are_refused() -> None:
    trajectory = fragments([stream(np.random.default_rng(0), 8)], [[4]], 4, 1)[0]
    with pytest.raises(ValueError, match="need 2 look-back rows, got 1"):
        n_step(3, 0.99)(trajectory)


def test_the_probe_of_three_steps_and_five_step_returns() -> None:
    """Reward 1 a step, ends at 3: targets 1+g+g^2, 1+g, 1 and nothing behind them."""
    source = stream(np.random.default_rng(0), 3, end=0.0)
    source.reward[:] = 1.0
    source.flags[2] |= TERMINATED
    source.final[2], source.final_value[2] = 9.0, 5.0
    columns = n_step(5, 0.5)(fragments([source], [[3]], 3, 4)[0])
    np.testing.assert_allclose(columns["reward"], [1.75, 1.5, 1.0])
    np.testing.assert_allclose(columns["discount"], 0.0)
