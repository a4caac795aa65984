from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Sequence, Space, Tuple
from gymnasium.vector.utils import concatenate, create_empty_array

from rl_platform.data.spaces import Leaf
from rl_platform.data.tree import ACTION_MASK
from rl_platform.envs.batch_writer import EVERY, LaneFault, batch_writer
from rl_platform.envs.faults import FieldFault
from rl_platform.envs.observation_writer import observation_writer
from rl_platform.envs.spaces import observation_leaves

UINT8: Any = np.uint8
LANES = 5
SPACES = [
    Box(-2, 3, (4,)),
    Box(-2, 3, (2, 3), np.float64),
    Box(0, 255, (8, 6, 3), UINT8),
    Box(0, 255, (4, 8, 6), UINT8),
    Discrete(5, start=-2),
    MultiDiscrete([[3, 2], [4, 5]]),
    MultiBinary(3),
    Sequence(Box(-1, 1, (3,))),
    Dict(action_mask=MultiBinary(3), nested=Dict(a=Discrete(3), b=Tuple([Box(0, 1, (1,)), Discrete(2)]))),
]


def empty(leaves: dict[str, Leaf], lanes: int = LANES) -> dict[str, np.ndarray]:
    return {path: np.full((lanes, *leaf.shape), 7, leaf.dtype) for path, leaf in leaves.items()}


def batch(space: Space[Any], observations: list[Any]) -> Any:
    return concatenate(space, observations, create_empty_array(space, len(observations)))


MASK = Dict(action_mask=Box(0, 9, (2,)))


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("lanes", [EVERY, np.array([3, 1])], ids=["every", "some"])
def test_a_batch_is_written_as_its_observations_are_one_by_one(space: Space[Any], lanes: Any) -> None:
    space.seed(3)
    observations = [space.sample() for _ in range(LANES)]
    leaves = observation_leaves(space, 30)
    expected, rows = empty(leaves), empty(leaves)
    write_one = observation_writer(space, 30)
    for lane in np.arange(LANES)[lanes]:
        write_one(observations[lane], expected, int(lane))
    batch_writer(space, LANES, 30)(batch(space, observations), rows, lanes)
    assert rows.keys() == expected.keys()
    for path, leaf in rows.items():
        np.testing.assert_array_equal(leaf, expected[path], path)


def test_a_mask_may_be_of_any_dtype() -> None:
    space = Dict(action_mask=Box(0, 9, (3,)))
    rows = empty(observation_leaves(space), 2)
    rows[ACTION_MASK] = np.full((2, 3), 7, np.int8)
    mask = np.array([[0, 1, 1], [1, 0, 0]], np.float32)
    batch_writer(space, 2)({"action_mask": mask}, rows, EVERY)
    assert rows[ACTION_MASK].tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("space", "given", "problem"),
    [
        (Box(0, 1, (4,)), np.zeros((1, 4), np.float32), r"obs: has shape \(1, 4\); expected \(5, 4\)"),
        (Box(0, 1, (4,)), np.zeros((5, 1), np.float32), r"obs: has shape \(5, 1\)"),
        (Box(0, 1, (4,)), np.zeros((5, 4), complex), "obs: has dtype complex128; expected float32"),
        (Box(0, 1, (1,)), [[0], [1, 2]], "obs: is .*no array"),
        (Discrete(3), np.zeros(5), "obs: has dtype float64; expected int64"),
        (Dict(a=Discrete(3)), {"b": np.zeros(5, int)}, r"obs: is \['b'\]; expected .*\['a'\]"),
        (Dict(a=Discrete(3)), np.zeros(5), "obs: is ndarray; expected a dict"),
        (Tuple([Discrete(3)]), (), "obs: is tuple; expected a tuple of 1"),
        (Sequence(Box(0, 1, (1,))), ((),), "obs: has 1 sets; expected 5"),
    ],
)
def test_a_batch_that_does_not_fit_its_space_is_refused(space: Space[Any], given: Any, problem: str) -> None:
    with pytest.raises(FieldFault, match=problem):
        batch_writer(space, LANES, 4)(given, empty(observation_leaves(space, 4)), EVERY)


@pytest.mark.parametrize(
    ("space", "given", "problem"),
    [
        (Discrete(3, start=1), np.array([1, 2, 3, 0, 1]), "obs: is 0; expected 1 to 3"),
        (MultiDiscrete([2, 2]), np.eye(5, 2, dtype=int) * 0 + [[0], [0], [0], [2], [0]], "obs: is "),
        (Sequence(Box(0, 1, (1,))), ((), (), (), tuple(np.zeros((5, 1))), ()), "obs: has 5 elements"),
        (MASK, {"action_mask": [[0, 1], [1, 1], [0, 0], [1, 2], [0, 1]]}, r"is \[1, 2\]; expected 0 or 1"),
        (MASK, {"action_mask": np.full((5, 2), [[1], [1], [1], [np.nan], [1]])}, r"is \[nan, nan\]"),
    ],
)
def test_one_wrong_lane_of_a_batch_is_named(space: Space[Any], given: Any, problem: str) -> None:
    with pytest.raises(LaneFault, match=problem) as caught:
        batch_writer(space, LANES, 4)(given, empty(observation_leaves(space, 4)), EVERY)
    assert caught.value.lane == 3
