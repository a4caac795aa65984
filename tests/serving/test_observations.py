"""Serving reads observations as the rollout workers do, and says what is wrong with others."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces
from rl_platform.envs.observation_writer import observation_writer
from rl_platform.envs.spaces import policy_spaces
from rl_platform.serving.observations import ObservationError, decode_action, encode_observation

DISCRETE = gs.Discrete(3)
SPACES: dict[str, gs.Space[Any]] = {
    "box": gs.Box(-1, 1, (3,)),
    "double box": gs.Box(-np.inf, np.inf, (2, 2), np.float64),
    "scalar box": gs.Box(-1, 1, ()),
    "discrete": gs.Discrete(5),
    "multi-discrete": gs.MultiDiscrete([2, 3]),
    "grid of discretes": gs.MultiDiscrete([[2, 3], [4, 5]]),
    "binary": gs.MultiBinary(4),
    "image": gs.Box(0, 255, (6, 7, 3), np.uint8),
    "channels first": gs.Box(0, 255, (3, 8, 7), np.uint8),
    "dict": gs.Dict(a=gs.Box(-1, 1, (2,)), b=gs.Dict(c=gs.Discrete(3), d=gs.Box(0, 1, ()))),
    "tuple": gs.Tuple((gs.Discrete(2), gs.Box(-1, 1, (2,)), gs.Dict(x=gs.Discrete(2)))),
    "set": gs.Sequence(gs.Box(-1, 1, (3,)), seed=1),
    "stacked set": gs.Sequence(gs.Box(-1, 1, (2,)), stack=True, seed=1),
    "set in a dict": gs.Dict(me=gs.Box(-1, 1, (2,)), others=gs.Sequence(gs.Box(-1, 1, (3,)), seed=2)),
    "mask": gs.Dict(observation=gs.Box(-1, 1, (2,)), action_mask=gs.MultiBinary(3)),
}


@pytest.mark.parametrize("name", SPACES)
def test_leaves_are_those_that_a_rollout_worker_writes(name: str) -> None:
    space = SPACES[name]
    space.seed(3)
    spaces = policy_spaces(space, DISCRETE, max_set_size=64)
    write = observation_writer(space, max_set_size=64)
    for _ in range(20):
        observation = space.sample()
        rows = {path: np.zeros((1, *leaf.shape), leaf.dtype) for path, leaf in spaces.obs.items()}
        write(observation, rows, 0)
        tree = encode_observation(spaces, observation)
        assert tree.keys() == rows.keys()
        for path, leaf in rows.items():
            assert tree[path].dtype == leaf.dtype
            np.testing.assert_array_equal(tree[path], leaf, err_msg=path)


def test_the_start_of_a_space_is_subtracted() -> None:
    leaves = {
        "obs/a": Leaf("discrete", (), "int64", categories=(3,), start=(-1,)),
        "obs/b": Leaf("multi_discrete", (2,), "int64", categories=(2, 3), start=(5, 0)),
    }
    spaces = Spaces(leaves, ActionSpace("discrete", (), (2,), (0,)))
    tree = encode_observation(spaces, {"a": 1, "b": [6, 2]})
    assert [leaf.tolist() for leaf in tree.values()] == [[2], [[1, 2]]]
    with pytest.raises(ObservationError, match=r"obs/a is 2; expected whole numbers from \[-1\] to \[1\]"):
        encode_observation(spaces, {"a": 2, "b": [6, 2]})


def test_a_mask_that_comes_in_info_is_given_apart() -> None:
    spaces = policy_spaces(gs.Box(-1, 1, (2,)), DISCRETE, mask_in_info=True)
    tree = encode_observation(spaces, [0.5, 1], action_mask=[True, False, True])
    assert tree["obs/action_mask"].tolist() == [[1, 0, 1]]
    with pytest.raises(ObservationError, match=r"action_mask=info\['action_mask'\]"):
        encode_observation(spaces, [0.5, 1])
    with pytest.raises(ObservationError, match="takes none beside"):
        encode_observation(policy_spaces(gs.Box(-1, 1, (2,)), DISCRETE), [0.5, 1], action_mask=[1, 1, 1])


@pytest.mark.parametrize("wrong", [0.5, 2, -1, float("nan")])
def test_a_mask_says_yes_or_no(wrong: float) -> None:
    spaces = policy_spaces(gs.Box(-1, 1, (2,)), DISCRETE, mask_in_info=True)
    with pytest.raises(ObservationError, match=r"action_mask is .* expected 0 or 1 for each action"):
        encode_observation(spaces, [0.5, 1], action_mask=[1, wrong, 0])


@pytest.mark.parametrize(
    ("name", "observation", "sentence"),
    [
        (
            "box",
            np.zeros((5, 3)),
            r"obs has shape \(5, 3\); expected \(3,\); act takes one observation, not a batch",
        ),
        ("box", [0, 1], r"obs has shape \(2,\); expected \(3,\)"),
        ("box", [[1], [1, 2]], "which is no array"),
        ("box", ["a", "b", "c"], "expected numbers"),
        ("box", {"a": 1}, "expected numbers"),
        ("dict", [1, 2], "the policy has no obs/0; it takes obs/a, obs/b/c, obs/b/d"),
        ("dict", {"a": [0, 0]}, "lacks obs/b/c, obs/b/d"),
        ("dict", {"a": [0, 0], "b": {"c": 1, "d": 0.5}, "e": 1}, "the policy has no obs/e"),
        ("dict", 3, r"obs is a int; expected a dict or tuple that has obs/a, obs/b/c, obs/b/d"),
        (
            "dict",
            {"a": [0, 0], "b": {"c": 3, "d": 0.5}},
            r"obs/b/c is 3; expected whole numbers from \[0\] to \[2\]",
        ),
        ("discrete", 1.5, r"expected whole numbers from \[0\] to \[4\]"),
        ("discrete", -1, "expected whole numbers"),
        ("set", [[0, 0, 0]] * 65, "obs has 65 elements; expected at most 64"),
        ("set", [[0, 0]], "2 numbers per element; expected 3"),
        ("set", 5, "obs is 5; expected a sequence of elements"),
        ("set", None, "obs is None; expected a sequence of elements"),
        ("set", [[0, np.nan, 0]], "obs has nan; expected numbers that are finite as float32"),
        (
            "dict",
            {"a": [0, 0], "b": {"c": 1, "d": 1e300}},
            "obs/b/d has 1e.300; expected numbers that are finite",
        ),
    ],
)
def test_what_is_wrong_with_an_observation_is_said(name: str, observation: Any, sentence: str) -> None:
    spaces = policy_spaces(SPACES[name], DISCRETE, max_set_size=64)
    with pytest.raises(ObservationError, match=sentence):
        encode_observation(spaces, observation)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.full((4, 4, 3), 0.5), "obs has dtype float64; expected whole numbers from 0 to 255"),
        (np.full((4, 4, 3), 300), "obs holds 300 to 300; expected 0 to 255"),
        (np.full((3, 4, 4), -1, np.int8), "obs holds -1 to -1; expected 0 to 255"),
    ],
)
def test_an_image_of_other_numbers_is_refused(image: np.ndarray, sentence: str) -> None:
    spaces = policy_spaces(gs.Box(0, 255, (4, 4, 3), np.uint8), DISCRETE)
    assert encode_observation(spaces, np.full((4, 4, 3), 255))["obs"].max() == 255
    with pytest.raises(ObservationError, match=sentence):
        encode_observation(spaces, image)


@pytest.mark.parametrize(
    "space",
    [
        gs.Discrete(4, start=2),
        gs.MultiDiscrete([2, 3]),
        gs.MultiBinary(3),
        gs.Box(-1, 1, (2, 2)),
        gs.Box(0, 1, ()),
    ],
)
def test_actions_are_members_of_the_action_space(space: gs.Space[Any]) -> None:
    space.seed(1)
    spaces = policy_spaces(gs.Box(-1, 1, (1,)), space)
    for _ in range(10):
        action = space.sample()
        decoded = decode_action(spaces, np.asarray(action)[None])
        np.testing.assert_array_equal(decoded, action)
        if isinstance(space, gs.Discrete):
            assert type(decoded) is int
        if not isinstance(space, gs.MultiBinary):
            assert space.contains(decoded)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_what_the_policy_says_becomes_an_action_of_the_spaces_dtype(dtype: Any) -> None:
    space = gs.Box(0, 9, (2,), dtype)
    action = decode_action(policy_spaces(gs.Box(-1, 1, (1,)), space), np.array([[0.6, 8.5]], np.float32))
    assert action.dtype == space.dtype
    assert space.contains(action)
    np.testing.assert_allclose(action, [0.6, 8.5] if space.dtype.kind == "f" else [1, 8], rtol=1e-6)


def test_a_real_environment_takes_the_actions() -> None:
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=1)
    spaces = policy_spaces(env.observation_space, env.action_space)
    tree = encode_observation(spaces, observation)
    assert tree["obs"].shape == (1, 4)
    env.step(decode_action(spaces, np.array([1])))
