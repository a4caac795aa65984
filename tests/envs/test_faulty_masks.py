"""Action masks, observations and results that are none: the fault names environment, step and field."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_platform.data.tree import ACTION_MASK
from rl_platform.envs.adapter import Arrivals, EnvironmentFault
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.envs.spaces import UnsupportedSpace, observation_leaves
from rl_platform.envs.vector_adapter import VectorAdapter
from tests.envs.counters import arrivals_of

GOOD = np.array([1, 0], np.int8)
POINT = Box(-1.0, 1.0, (1,), np.float32)


class Masked(gymnasium.Env[Any, Any]):
    """Gives the masks in turn, in ``info`` or in the observation, and ends with the last one."""

    def __init__(self, masks: list[Any], in_info: bool = True, actions: Any = None) -> None:
        self.masks, self.in_info = masks, in_info
        self.action_space = actions or Discrete(2)
        size = int(np.sum(getattr(self.action_space, "nvec", 2)))
        mask = Box(-9, 9, (size,), np.float32)
        self.observation_space = POINT if in_info else Dict(x=POINT, action_mask=mask)

    def _seen(self) -> tuple[Any, dict[str, Any]]:
        mask, x = self.masks[self.t], np.zeros(1, np.float32)
        if self.in_info:
            return x, {} if mask is None else {"action_mask": mask}
        return {"x": x, "action_mask": mask}, {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.t = 0
        return self._seen()

    def step(self, action: Any) -> Any:
        self.t += 1
        obs, info = self._seen()
        return obs, 0.0, self.t == len(self.masks) - 1, False, info


def step(env: gymnasium.Env[Any, Any], times: int = 1) -> Arrivals:
    adapter = GymnasiumAdapter(lambda: env, 1, name="odd")
    spaces = adapter.lanes["default"].spaces
    obs = {path: np.zeros((1, *leaf.shape), leaf.dtype) for path, leaf in spaces.obs.items()}
    arrivals = Arrivals(
        obs, np.zeros(1, np.float32), np.zeros(1, np.uint8), np.ones(1, bool), np.ones(1, bool)
    )
    adapter.reset_into({"default": arrivals}, [0])
    for _ in range(times):
        action = np.zeros((1, *spaces.action.shape), np.int64)
        adapter.step_into({"default": action}, {"default": arrivals})
    return arrivals


@pytest.mark.parametrize("in_info", [True, False], ids=["info", "observation"])
@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros(2), "leaves no legal action"),
        (np.array([np.nan, 1.0]), r"is \[nan, 1.0\]; expected 0 or 1"),
        (np.array([2, -1]), "expected 0 or 1"),
    ],
    ids=["nothing", "nan", "numbers"],
)
def test_a_mask_that_is_none_is_the_environments_fault(mask: Any, said: str, in_info: bool) -> None:
    whole = f"environment 'odd' number 0, step 1, field {ACTION_MASK}: .*{said}"
    with pytest.raises(EnvironmentFault, match=whole):
        step(Masked([GOOD, mask, GOOD], in_info))


@pytest.mark.parametrize("in_info", [True, False], ids=["info", "observation"])
def test_the_last_observation_of_an_episode_may_leave_nothing_to_do(in_info: bool) -> None:
    assert step(Masked([GOOD, np.zeros(2)], in_info)).ended[0]


def test_each_component_keeps_a_legal_action() -> None:
    some, none = np.array([1, 0, 0, 1, 0]), np.array([1, 1, 0, 0, 0])
    actions = MultiDiscrete([2, 3])
    step(Masked([some, some, some], actions=actions))
    with pytest.raises(EnvironmentFault, match="leaves no legal action"):
        step(Masked([some, none, some], actions=actions))


def test_a_mask_that_comes_later_is_not_passed_over() -> None:
    with pytest.raises(EnvironmentFault, match=r"step 2, field info\['action_mask'\]: is there, and was not"):
        step(Masked([None, None, GOOD, None]), times=2)


class Odd(gymnasium.Env[Any, Any]):
    observation_space, action_space = POINT, Discrete(2)

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        if isinstance(self.returned, BaseException):
            raise self.returned
        return self.returned


@pytest.mark.parametrize("returned", [None, (1, 2, 3, 4), (1, 2, 3, 4, 5, 6)])
def test_what_a_step_should_return_is_said(returned: Any) -> None:
    expected = r"field step: did not return \(observation, reward, terminated, truncated, info\)"
    with pytest.raises(EnvironmentFault, match=expected):
        step(Odd(returned))


class Speechless(Exception):
    def __str__(self) -> str:
        raise ValueError


def test_one_that_cannot_say_what_it_is_is_told_by_its_name() -> None:
    told = r"step 1, field step: raised Speechless: \(whose message raises ValueError\)"
    with pytest.raises(EnvironmentFault, match=told):
        step(Odd(Speechless()))


@pytest.mark.parametrize("error", [ValueError("mine"), GeneratorExit(), SystemExit(3)])
def test_whatever_it_raises_is_its_fault(error: BaseException) -> None:
    with pytest.raises(EnvironmentFault, match=r"step 1, field step: (raised|called)"):
        step(Odd(error))


@pytest.mark.parametrize(
    "space",
    [
        Dict({"a/b": POINT, "a": Dict(b=POINT)}),
        Dict({"s": gymnasium.spaces.Sequence(POINT, stack=True), "s/count": POINT}),
    ],
)
def test_two_observations_of_one_path_are_refused(space: Any) -> None:
    with pytest.raises(UnsupportedSpace, match="two observations have this path"):
        observation_leaves(space, 3)


def in_a_vector(masks: list[Any], in_info: bool, times: int, mode: AutoresetMode) -> None:
    env = SyncVectorEnv(
        [lambda: Masked([GOOD] * 9, in_info), lambda: Masked(masks, in_info)], autoreset_mode=mode
    )
    adapter = VectorAdapter(env, name="odd")
    arrivals = arrivals_of(adapter)
    adapter.reset_into(arrivals, [0, 0])
    for _ in range(times):
        adapter.step_into({"default": np.zeros(2, np.int64)}, arrivals)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("in_info", [True, False], ids=["info", "observation"])
def test_a_lane_of_a_vector_that_may_do_nothing_is_named(mode: AutoresetMode, in_info: bool) -> None:
    whole = rf"environment 'odd' number 1, step 2, field {ACTION_MASK}: leaves no legal action \(\[0, 0\]\)"
    with pytest.raises(EnvironmentFault, match=whole):
        in_a_vector([GOOD, GOOD, np.zeros(2, np.int8), GOOD], in_info, 2, mode)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("in_info", [True, False], ids=["info", "observation"])
def test_the_last_observation_of_a_vectors_episode_may_leave_nothing_to_do(
    mode: AutoresetMode, in_info: bool
) -> None:
    in_a_vector([GOOD, GOOD, np.zeros(2, np.int8)], in_info, 3, mode)


def test_a_mask_of_a_vector_that_comes_later_is_not_passed_over() -> None:
    env = SyncVectorEnv([lambda: Masked([None, None, GOOD, None])] * 2)
    adapter = VectorAdapter(env, name="odd")
    arrivals = arrivals_of(adapter)
    adapter.reset_into(arrivals, [0, 0])
    adapter.step_into({"default": np.zeros(2, np.int64)}, arrivals)
    with pytest.raises(EnvironmentFault, match=r"field info\['action_mask'\]: is there, and was not"):
        adapter.step_into({"default": np.zeros(2, np.int64)}, arrivals)
