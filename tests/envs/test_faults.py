"""What goes wrong in an environment ends in a message that names environment, step and field."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.workers.rollout_worker import RolloutWorker
from tests.workers.simple_actors import SumActor

GOOD: tuple[Any, Any, Any, Any] = (np.zeros(3, np.float32), 1.0, False, False)


class BrokenEnv(gymnasium.Env[Any, Any]):
    """Does ``fault`` in the third step of an episode."""

    def __init__(self, fault: Callable[[], tuple[Any, Any, Any, Any]]) -> None:
        self.observation_space: Any = Box(-1, 1, (3,), np.float32)
        self.action_space = Discrete(3)
        self.fault, self.steps = fault, 0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.steps = 0
        return GOOD[0], {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.steps += 1
        return *(self.fault() if self.steps == 3 else GOOD), {}


def raises() -> Any:
    raise RuntimeError("the wheel came off")


def sample(
    fault: Callable[[], tuple[Any, Any, Any, Any]], lanes: int = 2, watchdog: Watchdog | None = None
) -> None:
    """Two sound environments around the broken one, if there are lanes for them."""
    made = iter([lambda: GOOD] * (lanes - 1) + [fault])
    adapter = GymnasiumAdapter(lambda: BrokenEnv(next(made)), lanes, name="Broken-v0")
    actor = SumActor(adapter.lanes["default"].spaces)
    RolloutWorker(adapter, {"default": actor}, watchdog=watchdog).sample(5)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (raises, "field step: raised RuntimeError: the wheel came off"),
        (sys.exit, r"field step: called sys\.exit\(None\)"),
        (
            lambda: (np.zeros(2, np.float32), 1.0, False, False),
            r"field obs: has shape \(2,\); expected \(3,\)",
        ),
        (lambda: (np.zeros((3, 1), np.float32), 1.0, False, False), r"field obs: has shape \(3, 1\)"),
        (lambda: (np.float32(0), 1.0, False, False), r"field obs: has shape \(\); expected \(3,\)"),
        (lambda: (["a", "b", "c"], 1.0, False, False), "field obs: has dtype <U1; expected float32"),
        (lambda: (None, 1.0, False, False), r"field obs: has shape \(\)"),
        (
            lambda: (GOOD[0], np.ones(1), False, False),
            r"field reward: is ndarray of shape \(1,\).*one number",
        ),
        (lambda: (GOOD[0], "1", False, False), "field reward: is str"),
        (lambda: (GOOD[0], None, False, False), "field reward: is NoneType"),
        (lambda: (GOOD[0], 1.0, "no", False), "field terminated: is 'no'"),
        (lambda: (GOOD[0], 1.0, False, None), "field truncated: is None"),
        (lambda: (GOOD[0], 1.0, np.zeros(2, bool), False), "field terminated: "),
    ],
)
def test_a_fault_in_a_step_names_environment_step_and_field(fault: Any, problem: str) -> None:
    with pytest.raises(EnvironmentFault, match=rf"environment 'Broken-v0' number 1, step 3, {problem}"):
        sample(fault)


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_observations_and_rewards_that_are_not_finite_are_found_with_their_step(lanes: int) -> None:
    last = lanes - 1
    nan = np.array([0, np.nan, 0], np.float32)
    with pytest.raises(EnvironmentFault, match=rf"number {last}, step 3, field obs: is not finite .*nan"):
        sample(lambda: (nan, 1.0, False, False), lanes)
    with pytest.raises(EnvironmentFault, match=rf"number {last}, step 3, field reward: is not finite .*inf"):
        sample(lambda: (GOOD[0], float("inf"), False, False), lanes)
    with pytest.raises(EnvironmentFault, match=rf"number {last}, step 3, field obs: is not finite"):
        sample(lambda: (nan, 1.0, True, False), lanes)


def test_nan_is_named_even_where_it_makes_a_later_step_fail() -> None:
    class Later(BrokenEnv):
        def step(self, action: Any) -> Any:
            if self.steps == 3:
                raise RuntimeError("an effect, not the cause")
            return super().step(action)

    nan = (np.full(3, np.nan, np.float32), 1.0, False, False)
    adapter = GymnasiumAdapter(lambda: Later(lambda: nan), 1, name="Later-v0")
    worker = RolloutWorker(adapter, {"default": SumActor(adapter.lanes["default"].spaces)})
    with pytest.raises(EnvironmentFault, match="step 3, field obs: is not finite"):
        worker.sample(5)


def test_the_original_exception_is_the_cause() -> None:
    with pytest.raises(EnvironmentFault) as caught:
        sample(raises)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("flag", [np.bool_(False), 0, np.int8(0)])
def test_flags_may_be_numpy_bools_or_zero(flag: Any) -> None:
    sample(lambda: (GOOD[0], np.float32(1), flag, flag))


def test_lists_and_other_float_types_are_taken_as_arrays() -> None:
    sample(lambda: ([0.0, 1.0, 0.5], np.array(1.0), False, False))
    sample(lambda: (np.zeros(3, np.float64), 1, False, False))


@pytest.mark.parametrize("sound", [0, 1, 2])
def test_a_reset_that_raises_is_named(sound: int) -> None:
    """The first of an environment, that of a run's beginning, or that after an episode."""

    class NoReset(BrokenEnv):
        resets = 0

        def reset(self, **options: Any) -> Any:
            self.resets += 1
            if self.resets > sound:
                raise OSError("no such map")
            return super().reset()

    def play() -> None:
        over = (GOOD[0], 1.0, True, False)
        adapter = GymnasiumAdapter(lambda: NoReset(lambda: over), 1, name="NoReset-v0")
        RolloutWorker(adapter, {"default": SumActor(adapter.lanes["default"].spaces)}).sample(4)

    with pytest.raises(
        EnvironmentFault, match="'NoReset-v0' number 0, reset, field reset: raised OSError: no such map"
    ) as caught:
        play()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_constructor_that_raises_is_named() -> None:
    made = iter([lambda: BrokenEnv(lambda: GOOD), raises])
    with pytest.raises(EnvironmentFault, match=r"'Broken-v0' number 1, start, .*the wheel came off"):
        GymnasiumAdapter(lambda: next(made)(), 2, name="Broken-v0")


def test_keys_that_are_missing_or_unknown_are_named() -> None:
    class Keyed(BrokenEnv):
        def __init__(self, step: dict[str, Any]) -> None:
            super().__init__(lambda: (step, 1.0, False, False))
            self.observation_space = Dict(obs=Box(-1, 1, (1,)), goal=Discrete(2))

        def reset(self, **options: Any) -> Any:
            self.steps = 2
            return {"obs": np.zeros(1, np.float32), "goal": 1}, {}

    def fault_of(step: dict[str, Any]) -> str:
        adapter = GymnasiumAdapter(lambda: Keyed(step), 1, name="Keyed-v0")
        arrivals = _arrivals(adapter)
        adapter.reset_into(arrivals, [0])
        with pytest.raises(EnvironmentFault) as caught:
            adapter.step_into({"default": np.zeros(1, np.int64)}, arrivals)
        return str(caught.value)

    one = np.zeros(1, np.float32)
    assert "field obs/goal: is missing; the observation has the keys ['obs']" in fault_of({"obs": one})
    assert "field obs: has the keys ['more']" in fault_of({"obs": one, "goal": 1, "more": 2})
    assert "field obs/goal: is 2; expected 0 to 1" in fault_of({"obs": one, "goal": 2})


def _arrivals(adapter: GymnasiumAdapter) -> Any:
    from rl_platform.envs.adapter import Arrivals

    lanes = adapter.lanes["default"]
    obs = {path: np.zeros((1, *leaf.shape), leaf.dtype) for path, leaf in lanes.spaces.obs.items()}
    return {
        "default": Arrivals(
            obs, np.zeros(1, np.float32), np.zeros(1, np.uint8), np.zeros(1, bool), np.zeros(1, bool)
        )
    }


def test_values_outside_their_bounds_are_warned_about_once() -> None:
    adapter = GymnasiumAdapter(lambda: BrokenEnv(lambda: GOOD), 1, name="Wide-v0")
    outside = np.array([0, 5, 0], np.float32)
    adapter._envs[0].reset = lambda **options: (outside, {})  # type: ignore[method-assign]
    worker = RolloutWorker(adapter, {"default": SumActor(adapter.lanes["default"].spaces)})
    with pytest.warns(
        UserWarning, match=r"'Wide-v0' number 0, step 0, field obs: has values from 0 to 5"
    ) as seen:
        _sample_twice(worker)
    assert len(seen) == 1


def _sample_twice(worker: RolloutWorker) -> None:
    worker.sample(1)
    worker.reset(1)
    worker.sample(1)


def test_a_hanging_step_is_ended_and_named() -> None:
    def hang() -> Any:
        while True:
            time.sleep(0.01)

    watchdog, start = Watchdog(0.2), time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"number 1, step 3, .*did not return within 0.2 s") as caught:
        sample(hang, watchdog=watchdog)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert 0.15 < time.monotonic() - start < 2


def test_an_endless_message_is_told_in_part() -> None:
    def endless() -> Any:
        raise ValueError("begin" + "x" * 10**6 + "end")

    with pytest.raises(EnvironmentFault, match="field step: raised ValueError: beginx") as caught:
        sample(endless)
    assert len(str(caught.value)) < 2_300
    with pytest.raises(EnvironmentFault, match=r"called sys\.exit\('xx") as caught:
        sample(lambda: sys.exit("x" * 10**6))
    assert len(str(caught.value)) < 2_300
