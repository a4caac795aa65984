from __future__ import annotations

import dataclasses

import numpy as np

from rl_platform.data.trajectory_codec import decode_trajectory, encode_trajectory
from tests.trajectories import fragments, stream


def test_a_trajectory_comes_back_field_by_field() -> None:
    trajectory = fragments(
        [stream(np.random.default_rng(i), 12) for i in range(3)], [[2, 4], [3, 0], [1, 5]], 5, 2
    )[1]
    again = decode_trajectory(*encode_trajectory(trajectory))
    for field in dataclasses.fields(trajectory):
        before, after = getattr(trajectory, field.name), getattr(again, field.name)
        if isinstance(before, dict):
            assert set(before) == set(after)
            for path, leaf in before.items():
                np.testing.assert_array_equal(leaf, after[path])
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
        elif field.name != "final":
            assert before == after
    np.testing.assert_array_equal(trajectory.final.row, again.final.row)
    np.testing.assert_array_equal(trajectory.final.obs["obs"], again.final.obs["obs"])
    np.testing.assert_array_equal(trajectory.final.extra["value"], again.final.extra["value"])
