"""Spaces become leaves, and observations arrive in their rows as they were."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Space,
    Text,
    Tuple,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.spaces import Leaf, Spaces
from rl_platform.envs.faults import FieldFault
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.envs.observation_writer import observation_writer
from rl_platform.envs.spaces import (
    UnsupportedSpace,
    action_list,
    action_space,
    observation_leaves,
    policy_spaces,
)

UINT8: Any = np.uint8
POINTS = Sequence(Box(-1, 1, (3,)))


def image(*shape: int) -> Box:
    return Box(0, 255, shape, UINT8)


def written(space: Space[Any], obs: Any, largest: int = 4) -> dict[str, np.ndarray]:
    """The second of three lanes, after checking that the others were left alone."""
    leaves = observation_leaves(space, largest)
    rows = {path: np.full((3, *leaf.shape), 7, leaf.dtype) for path, leaf in leaves.items()}
    observation_writer(space, largest)(obs, rows, 1)
    assert all((leaf[[0, 2]] == 7).all() for leaf in rows.values())
    return {path: leaf[1] for path, leaf in rows.items()}


@pytest.mark.parametrize(
    ("space", "leaves"),
    [
        (Box(-2, 3, (4,)), {"obs": Leaf("box", (4,), "float32", -2, 3)}),
        (Box(-np.inf, np.inf, (2, 5), np.float64), {"obs": Leaf("box", (2, 5), "float32")}),
        (Discrete(5, start=2), {"obs": Leaf("discrete", (), "int64", categories=(5,), start=(2,))}),
        (MultiDiscrete([3, 2]), {"obs": Leaf("multi_discrete", (2,), "int64", categories=(3, 2))}),
        (MultiBinary(3), {"obs": Leaf("box", (3,), "float32", 0, 1)}),
        (image(84, 84, 4), {"obs": Leaf("image", (84, 84, 4), "uint8", 0, 255)}),
        (image(4, 84, 84), {"obs": Leaf("image", (84, 84, 4), "uint8", 0, 255)}),
        (image(12, 96, 84), {"obs": Leaf("image", (96, 84, 12), "uint8", 0, 255)}),
        (image(7, 7, 3), {"obs": Leaf("image", (7, 7, 3), "uint8", 0, 255)}),
        (Box(0, 255, (8, 8, 8), UINT8), {"obs": Leaf("box", (8, 8, 8), "float32", 0, 255)}),
        (Box(0, 1, (8, 8, 3)), {"obs": Leaf("box", (8, 8, 3), "float32", 0, 1)}),
        (
            POINTS,
            {
                "obs/values": Leaf("set", (4, 3), "float32", -1, 1),
                "obs/count": Leaf("count", (), "int64", 0, 4),
            },
        ),
        (
            Dict(a=Tuple([Discrete(2), Box(0, 1, (1,))]), b=Dict(c=MultiBinary(2))),
            {
                "obs/a/0": Leaf("discrete", (), "int64", categories=(2,)),
                "obs/a/1": Leaf("box", (1,), "float32", 0, 1),
                "obs/b/c": Leaf("box", (2,), "float32", 0, 1),
            },
        ),
    ],
)
def test_a_space_has_these_leaves(space: Space[Any], leaves: dict[str, Leaf]) -> None:
    assert observation_leaves(space, 4) == leaves


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        (Text(5), r"obs: the space Text.* is not supported; expected Box"),
        (Dict(a=Graph(Box(0, 1, (1,)), None)), "obs/a: the space Graph"),
        (Tuple([Discrete(2), OneOf([Discrete(2)])]), "obs/1: the space OneOf"),
        (Sequence(Discrete(3)), r"obs: a Sequence of Discrete\(3\) is not supported"),
        (Box(0, 1, (0,)), r"obs: the space Box.* has no elements \(its shape is \(0,\)\); leave it out"),
        (Dict(a=Discrete(2), b=Box(0, 1, (3, 0))), "obs/b: the space Box.* has no elements"),
        (Sequence(Box(0, 1, (0,))), "obs: the space Box.* has no elements"),
        (Dict(a=Dict()), r"obs/a: the space Dict\(\) is empty"),
    ],
)
def test_an_unsupported_observation_is_refused_by_name_and_path(space: Space[Any], problem: str) -> None:
    with pytest.raises(UnsupportedSpace, match=problem):
        observation_leaves(space, 4)


def test_a_sequence_without_a_largest_size_says_which_field_is_missing() -> None:
    with pytest.raises(UnsupportedSpace, match=r"obs: .*set environment\.maxSetSize"):
        observation_leaves(POINTS)


def test_an_action_without_elements_is_refused() -> None:
    with pytest.raises(UnsupportedSpace, match=r"action: the space Box.* has no elements"):
        action_space(Box(-1, 1, (0,)))


@pytest.mark.parametrize(
    "space",
    [Dict(a=Discrete(2)), Tuple([Discrete(2)]), Text(3), MultiDiscrete([[2, 3]]), OneOf([Discrete(2)])],
)
def test_an_unsupported_action_is_refused(space: Space[Any]) -> None:
    with pytest.raises(
        UnsupportedSpace, match=r"action: .*expected Discrete, MultiDiscrete, MultiBinary or Box"
    ):
        action_space(space)


@pytest.mark.parametrize(
    ("space", "stored", "taken"),
    [
        (Discrete(3, start=1), np.array([1, 3]), [1, 3]),
        (MultiDiscrete([3, 4]), np.array([[0, 3], [2, 1]]), [[0, 3], [2, 1]]),
        (MultiBinary(2), np.array([[0, 1], [1, 1]]), [[0, 1], [1, 1]]),
        (Box(-2, 2, (1,)), np.array([[0.5], [2]], np.float32), [[0.5], [2]]),
        (Box(-np.inf, np.inf, (2,), np.float64), np.array([[0.5, 9]], np.float32), [[0.5, 9]]),
        (Box(0, 3, (2,), np.int32), np.array([[0.6, 2.4]], np.float32), [[1, 2]]),
        (Box(-3, 0, (2,), np.int8), np.array([[-0.6, -2.4]], np.float32), [[-1, -2]]),
        (Box(0, 255, (2,), np.uint8), np.array([[255, 0]], np.float32), [[255, 0]]),
        (
            Box(-(2**31), 2**31 - 1, (2,), np.int32),
            np.array([[2**31, -(2**31)]], np.float32),
            [[2**31 - 1, -(2**31)]],
        ),
    ],
)
def test_actions_reach_environments_as_their_space_has_them(
    space: Space[Any], stored: Any, taken: Any
) -> None:
    actions = action_list(space)(stored)
    assert [np.asarray(action).tolist() for action in actions] == taken
    assert all(space.contains(action) or space.contains(np.int64(action)) for action in actions)


def test_the_dtype_of_a_box_is_saved_and_makes_no_other_policy() -> None:
    saved = Spaces({}, action_space(Box(0, 3, (2,), np.int32))).to_json()
    assert Spaces.from_json(saved).action.env_dtype == "int32"
    del saved["action"]["box_dtype"]
    assert Spaces.from_json(saved) == Spaces({}, action_space(Box(0, 3, (2,), np.int32)))


SPACES = st.deferred(
    lambda: st.one_of(
        st.just(Box(-5, 5, (3,))),
        st.just(Box(-5, 5, (2, 2), np.float64)),
        st.just(Box(-5, 5, ())),
        st.just(Discrete(4, start=-1)),
        st.just(MultiDiscrete([2, 5], start=[1, 0])),
        st.just(MultiBinary(4)),
        st.just(image(6, 5, 3)),
        st.just(image(3, 6, 5)),
        st.just(POINTS),
        st.just(Sequence(Box(-1, 1, (2,)), stack=True)),
        st.lists(SPACES, min_size=1, max_size=2).map(Tuple),
        st.dictionaries(st.sampled_from("abc"), SPACES, min_size=1, max_size=2).map(Dict),
    )
)


def expected(space: Space[Any], obs: Any, path: str = "obs") -> dict[str, Any]:
    """What the leaves of an observation must be, written out one by one."""
    if isinstance(space, Dict):
        return {
            k: v for key in space.spaces for k, v in expected(space[key], obs[key], f"{path}/{key}").items()
        }
    if isinstance(space, Tuple):
        parts = [expected(child, obs[i], f"{path}/{i}") for i, child in enumerate(space.spaces)]
        return {k: v for part in parts for k, v in part.items()}
    if isinstance(space, Sequence):
        values = np.zeros((4, *space.feature_space.shape), np.float32)  # type: ignore[misc]
        for i, element in enumerate(obs):
            values[i] = element
        return {f"{path}/values": values, f"{path}/count": len(obs)}
    if isinstance(space, Box) and space.dtype == np.uint8 and space.shape[0] == 3:
        return {path: np.moveaxis(obs, 0, 2)}
    start = getattr(space, "start", 0)
    return {path: np.asarray(obs) - start}


@settings(max_examples=60, deadline=None)
@given(space=SPACES, seed=st.integers(0, 99))
def test_whatever_a_space_samples_arrives_in_its_rows(space: Space[Any], seed: int) -> None:
    space.seed(seed)
    obs = space.sample()
    try:
        rows = written(space, obs)
    except FieldFault as fault:
        assert "expected at most 4 (environment.maxSetSize)" in str(fault)  # noqa: PT017 - some samples are larger
        return
    reference = expected(space, obs)
    assert rows.keys() == reference.keys()
    for path, value in reference.items():
        assert np.array_equal(rows[path], np.asarray(value, rows[path].dtype)), path


def test_a_set_that_is_too_large_is_a_fault() -> None:
    obs = tuple(np.zeros(3, np.float32) for _ in range(5))
    with pytest.raises(
        FieldFault, match=r"obs: has 5 elements; expected at most 4 \(environment.maxSetSize\)"
    ):
        written(POINTS, obs)


def test_an_empty_set_is_all_zeros() -> None:
    rows = written(POINTS, ())
    assert rows["obs/count"] == 0
    assert not rows["obs/values"].any()


@pytest.mark.parametrize("obs", [3, "ab", np.float32(1)])
def test_what_is_no_sequence_is_a_fault(obs: Any) -> None:
    with pytest.raises(FieldFault, match="obs: "):
        written(POINTS, obs)


MASKED = Dict(observation=Box(0, 1, (2,)), action_mask=MultiBinary(5))


def test_an_action_mask_in_a_dict_has_its_own_kind() -> None:
    spaces = policy_spaces(MASKED, Discrete(5))
    assert spaces.obs["obs/action_mask"] == Leaf("mask", (5,), "int8", 0, 1)
    rows = {path: np.zeros((1, *leaf.shape), leaf.dtype) for path, leaf in spaces.obs.items()}
    obs = {"observation": np.ones(2, np.float32), "action_mask": np.array([0, 1, 0, 0, 1], np.int8)}
    observation_writer(MASKED)(obs, rows, 0)
    assert rows["obs/action_mask"].tolist() == [[0, 1, 0, 0, 1]]


def test_a_mask_that_does_not_fit_the_actions_is_refused() -> None:
    with pytest.raises(UnsupportedSpace, match=r"obs/action_mask: has shape \(5,\); expected \(4,\)"):
        policy_spaces(MASKED, Discrete(4))
    with pytest.raises(UnsupportedSpace, match="a Box action cannot be masked"):
        policy_spaces(MASKED, Box(-1, 1, (5,)))


class InfoMaskEnv(gymnasium.Env[np.ndarray, Any]):
    """Masks the action that the step number says, in the info, until ``forgets``."""

    def __init__(self, forgets: bool = False) -> None:
        self.observation_space = Box(0, 100, (1,))
        self.action_space = Discrete(3)
        self.steps, self.forgets = 0, forgets

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.steps = 0
        return np.zeros(1, np.float32), {"action_mask": self._mask()}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        info = {} if self.forgets else {"action_mask": self._mask()}
        return np.full(1, self.steps, np.float32), 0.0, self.steps == 4, False, info

    def _mask(self) -> np.ndarray:
        return np.arange(3) != self.steps % 3


def test_a_mask_in_the_info_becomes_a_leaf_of_every_observation() -> None:
    from rl_platform.models.policy import Act
    from rl_platform.workers.rollout_worker import RolloutWorker
    from tests.workers.simple_actors import SumActor

    class Legal(SumActor):
        extras = ()

        def act(self, obs: Any, state: Any, first: Any, noise: Any) -> Act:
            action = obs["obs/action_mask"].argmax(axis=1)
            return Act(action, action, {}, {})

    def worker(forgets: bool) -> RolloutWorker:
        adapter = GymnasiumAdapter(lambda: InfoMaskEnv(forgets), 2, name="masked")
        return RolloutWorker(adapter, {"default": Legal(adapter.lanes["default"].spaces)})

    kept = worker(False).sample(10).trajectories["default"]
    steps = kept.obs["obs"][..., 0].astype(int)
    assert np.array_equal(kept.obs["obs/action_mask"], np.arange(3) != steps[..., None] % 3)
    assert set(steps.ravel().tolist()) == {0, 1, 2, 3}
    with pytest.raises(Exception, match=r"step 1, field info\['action_mask'\]: is missing"):
        worker(True).sample(1)


def test_large_actions_of_any_scale_survive_the_round_trip() -> None:
    space = action_space(Box(np.array([-1e3, -np.inf]), np.array([5.0, np.inf]), dtype=np.float64))
    assert space.low == (-1000.0, -np.inf)
    assert space.high == (5.0, np.inf)


def test_a_number_that_the_stored_dtype_cannot_hold_is_refused_and_not_wrapped() -> None:
    pixels = np.full((8, 8, 3), 300, np.int64)
    with pytest.raises(FieldFault, match="holds 300 to 300; uint8 holds 0 to 255"):
        written(image(8, 8, 3), pixels)
    write, rows = observation_writer(image(8, 8, 3)), {"obs": np.zeros((1, 8, 8, 3), np.uint8)}
    write(np.full((8, 8, 3), 200, np.int64), rows, 0)
    assert rows["obs"].max() == 200
    with pytest.raises(FieldFault, match="holds 300 to 300; uint8 holds 0 to 255"):
        write(pixels, rows, 0)  # a dtype that was right once says nothing of the next numbers


def test_what_is_no_space_is_refused_by_its_name() -> None:
    with pytest.raises(UnsupportedSpace, match=r"action_space is None; expected a gymnasium\.spaces\.Space"):
        policy_spaces(Box(0, 1, (2,)), None)  # type: ignore[arg-type]  # as an untyped environment may
    with pytest.raises(UnsupportedSpace, match="observation_space is 3"):
        policy_spaces(3, Discrete(2))  # type: ignore[arg-type]  # likewise
