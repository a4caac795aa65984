from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.trajectory import FIRST, Trajectory
from rl_platform.data.tree import ACTION_MASK
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.envs.vector_adapter import VectorAdapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.policy import Act
from rl_platform.workers.rollout_worker import RolloutWorker
from tests.envs.chains import CUT, RESET, TERMINAL, ChainEnv
from tests.envs.counters import Counters, arrivals_of
from tests.workers.rows import lane_rows, same_trajectory
from tests.workers.simple_actors import CountingActor, SumActor

LANES = 3
MODES = list(AutoresetMode)


def chains(mode: AutoresetMode, env: Any = ChainEnv, lanes: int = LANES) -> VectorAdapter:
    return VectorAdapter(SyncVectorEnv([env] * lanes, autoreset_mode=mode), name="chains")


def sampled(
    adapter: Any, cuts: list[int], look_back: int = 0, actor: Any = CountingActor
) -> tuple[list[Trajectory], list[Any], int]:
    """Trajectories, episodes and env steps."""
    actors = {"default": actor(adapter.lanes["default"].spaces)}
    worker = RolloutWorker(adapter, actors, look_back=look_back, seed=5)
    made = [worker.sample(ticks) for ticks in cuts]
    adapter.close()
    episodes = [episode for fragment in made for episode in fragment.episodes]
    env_steps = sum(fragment.env_steps for fragment in made)
    return [fragment.trajectories["default"] for fragment in made], episodes, env_steps


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8), look_back=st.integers(0, 3))
def test_all_modes_however_cut_give_the_rows_of_a_plain_loop(
    mode: AutoresetMode, cuts: list[int], look_back: int
) -> None:
    plain = sampled(GymnasiumAdapter(ChainEnv, LANES, name="chain"), [sum(cuts)])
    vector = sampled(chains(mode), cuts, look_back)
    late = mode is AutoresetMode.NEXT_STEP
    for lane in range(LANES):
        wanted, got = lane_rows(plain[0], lane), lane_rows(vector[0], lane)
        assert got == (wanted[: len(got)] if late else wanted)
        resets = sum(row["flags"] & int(FIRST) != 0 for row in got) - 1
        ended = "final" in got[-1]  # the reset of an episode that ended in the last tick is still to come
        assert len(got) in ({sum(cuts) - resets, sum(cuts) - resets - ended} if late else {sum(cuts)})
    assert vector[2] == sum(int(trajectory.length.sum()) for trajectory in vector[0])
    if not late:
        assert vector[1] == plain[1]


@pytest.mark.parametrize("mode", MODES)
def test_no_stored_step_starts_at_a_terminal_marker_and_none_is_a_reset(mode: AutoresetMode) -> None:
    (trajectory,), episodes, env_steps = sampled(chains(mode), [200])
    valid = np.arange(200)[:, None] < trajectory.length
    marker = trajectory.obs["obs"][:-1, :, 3][valid]
    assert not np.isin(marker, (TERMINAL, CUT)).any()
    assert np.array_equal(marker == RESET, (trajectory.flags[valid] & FIRST) != 0)
    # Chains pay 1, 2, 3, ...: a stored reset would be a step that pays nothing.
    assert (trajectory.reward[valid] > 0).all()
    assert set(trajectory.final.obs["obs"][:, 3].tolist()) == {TERMINAL, CUT}
    assert sum(episode.length for episode in episodes) <= env_steps == valid.sum()


def test_processes_of_their_own_give_the_same_rows() -> None:
    made = AsyncVectorEnv([ChainEnv] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    apart = sampled(VectorAdapter(made, name="chains"), [30])
    plain = sampled(GymnasiumAdapter(ChainEnv, 2, name="chain"), [30])
    for lane in range(2):
        assert lane_rows(apart[0], lane) == lane_rows(plain[0], lane)


class LegalActor(SumActor):
    """The first legal action of Discrete(3, start=1)."""

    extras = ()

    def act(self, obs: Any, state: Any, first: Any, noise: Any) -> Act:
        action = obs[ACTION_MASK].argmax(axis=1)
        return Act(action, action + 1, {}, {})


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_a_native_vector_with_batched_dicts_masks_and_one_seed_is_understood(mode: AutoresetMode) -> None:
    env = Counters(4, mode)
    adapter = VectorAdapter(env, name="counters")
    spaces = adapter.lanes["default"].spaces
    assert spaces.obs[ACTION_MASK].shape == (3,)
    arrivals = arrivals_of(adapter)["default"]
    adapter.reset_into({"default": arrivals}, [11, 12, 13, 14])
    assert env.seeds[-1] == 11
    finals = []
    for _ in range(3):
        arrivals.final.clear()
        over = adapter.step_into({"default": np.full(4, 2)}, {"default": arrivals})
        finals += [
            (lane, float(obs["obs/count"][0]), int(obs["obs/lane"]), obs[ACTION_MASK].tolist())
            for lane, obs in arrivals.final
        ]
        assert over.sum() == len(arrivals.final)
    # In SAME_STEP the info has the next episode's mask: that of the last observation is unknown.
    same = mode is AutoresetMode.SAME_STEP
    masks = ([1, 1, 1], [1, 1, 1]) if same else ([1, 0, 1], [0, 1, 0])
    assert finals == [(0, 2.0, 0, masks[0]), (1, 3.0, 1, masks[1])]
    assert arrivals.obs["obs/count"][:, 0].tolist() == [1, 0, 3, 3]
    assert arrivals.obs["obs/lane"].tolist() == [0, 1, 2, 3]
    assert arrivals.obs[ACTION_MASK].tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0], [0, 1, 0]]


class Late(Counters):
    """NEXT_STEP, with a reward in the step that resets, which belongs to nobody."""

    def __init__(self, num_envs: int, ends_at: int | None = None) -> None:
        super().__init__(num_envs, AutoresetMode.NEXT_STEP)
        self.ends_at = ends_at

    def step(self, actions: np.ndarray) -> Any:
        self.resetting = self.count == 2 + np.arange(self.num_envs)
        self.count[self.resetting] = -1
        obs, reward, ended, truncated, info = super().step(actions)
        reward[self.resetting] = 100.0
        return obs, reward, ended | (self.resetting & (self.ends_at == 0)), truncated, info


def test_a_step_that_resets_is_no_row_no_env_step_and_pays_nobody() -> None:
    adapter = VectorAdapter(Late(3), name="late")
    worker = RolloutWorker(adapter, {"default": LegalActor(adapter.lanes["default"].spaces)})
    fragment = worker.sample(20)
    trajectory = fragment.trajectories["default"]
    assert trajectory.length.tolist() == [14, 15, 16]  # of 20 ticks, every third, fourth or fifth is a reset
    assert fragment.env_steps == 45
    assert {(e.episode_return, e.length) for e in fragment.episodes} == {(3, 2), (6, 3), (10, 4)}


def test_the_ignored_action_of_a_reset_is_a_legal_one() -> None:
    env = Late(3)
    adapter = VectorAdapter(env, name="late")
    arrivals = arrivals_of(adapter)
    adapter.reset_into(arrivals, [0, 0, 0])
    for _ in range(2):
        adapter.step_into({"default": np.array([3, 2, 2])}, arrivals)
    assert arrivals["default"].ready.tolist() == [False, True, True]
    adapter.step_into({"default": np.array([0, 2, 2])}, arrivals)
    assert env.resetting.tolist() == [True, False, False]
    assert env.actions[-1].tolist() == [1, 2, 2]


def test_an_end_in_the_step_that_only_resets_is_a_fault() -> None:
    adapter = VectorAdapter(Late(3, ends_at=0), name="late")
    with pytest.raises(
        EnvironmentFault, match="number 0, step 3, field terminated: is true in the step that"
    ):
        sampled(adapter, [5], actor=LegalActor)


class Saved(Late):
    """Can say its state."""

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = np.asarray(state["count"])


@pytest.mark.parametrize("before", [2, 3, 5])
def test_a_restored_vector_goes_on_as_if_it_had_not_stopped(before: int) -> None:
    def made(env: Counters) -> RolloutWorker:
        adapter = VectorAdapter(env, name="saved")
        return RolloutWorker(adapter, {"default": LegalActor(adapter.lanes["default"].spaces)})

    whole, first, second = made(Saved(3)), made(Saved(3)), made(Saved(3))
    whole.sample(before)
    first.sample(before)
    document, arrays = first.snapshot()
    second.sample(4)
    second.restore(json.loads(json.dumps(document)), arrays)
    wanted, got = whole.sample(9), second.sample(9)
    assert got.episodes == wanted.episodes
    assert got.env_steps == wanted.env_steps
    same_trajectory(got.trajectories["default"], wanted.trajectories["default"])


def test_a_vector_that_cannot_say_its_state_has_no_snapshot() -> None:
    assert chains(AutoresetMode.SAME_STEP).snapshot() is None


class Broken(ChainEnv):
    """Goes wrong in the given way in the third step of an episode."""

    def __init__(self, how: str) -> None:
        super().__init__(longest=50)
        self.how = how

    def reset(self, **options: Any) -> Any:
        made = super().reset(**options)
        self.end = 50
        return made

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        if self.step_number == 3 and self.how == "raises":
            raise RuntimeError("the motor is stuck")
        while self.step_number == 3 and self.how == "hangs":
            time.sleep(0.01)
        if self.step_number == 3 and self.how == "nan":
            obs[1] = np.nan
        return obs, reward, terminated, truncated, info


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (
            "raises",
            r"'chains', step 3 .*field step: raised RuntimeError: the motor is stuck",
        ),
        ("nan", r"environment 'chains' number 0, step 3, field obs: is not finite"),
    ],
)
def test_what_goes_wrong_names_environment_step_and_field(
    mode: AutoresetMode, how: str, problem: str
) -> None:
    adapter = chains(mode, partial(Broken, how))
    with pytest.raises(EnvironmentFault, match=problem):
        sampled(adapter, [5], actor=SumActor)


def test_a_vector_that_hangs_is_ended_and_named() -> None:
    adapter = chains(AutoresetMode.SAME_STEP, partial(Broken, "hangs"))
    worker = RolloutWorker(
        adapter, {"default": SumActor(adapter.lanes["default"].spaces)}, watchdog=Watchdog(0.4)
    )
    with pytest.raises(EnvironmentFault, match=r"'chains', step 3 .*did not return within 0\.4 s"):
        worker.sample(5)


class Wrong(Counters):
    """Returns one field in the wrong form."""

    def __init__(self, field: int, value: Any) -> None:
        super().__init__(3, AutoresetMode.DISABLED)
        self.field, self.value = field, value

    def step(self, actions: np.ndarray) -> Any:
        outcome: list[Any] = list(super().step(actions))
        outcome[self.field] = self.value
        return tuple(outcome)


OBS = {"count": np.zeros((3, 1), np.float32), "lane": np.array([10, 11, 99])}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (
            0,
            {**OBS, "count": np.zeros(3, np.float32)},
            r"field obs/count: has shape \(3,\); expected \(3, 1\)",
        ),
        (0, OBS, r"environment 'wrong' number 2, step 1, field obs/lane: is 99; expected 10 to 12"),
        (1, np.zeros((3, 1)), r"step 1 .*field reward: has shape \(3, 1\)"),
        (1, 0.0, r"field reward: has shape \(\)"),
        (2, np.array([0, 2, 0]), "number 1, step 1, field terminated: is neither true nor false"),
        (3, np.zeros(2, bool), r"field truncated: has shape \(2,\)"),
        (4, {}, r"field info\['action_mask'\]: is missing"),
    ],
)
def test_a_field_of_the_wrong_form_is_named(field: int, value: Any, problem: str) -> None:
    adapter = VectorAdapter(Wrong(field, value), name="wrong")
    with pytest.raises(EnvironmentFault, match=problem):
        sampled(adapter, [2], actor=LegalActor)


@pytest.mark.parametrize("mode", MODES)
def test_steps_are_counted_in_each_episode(mode: AutoresetMode) -> None:
    late = mode is AutoresetMode.NEXT_STEP
    env = Late(3) if late else Counters(3, mode)
    step = env.step

    def wrong_in_the_second_episode(actions: np.ndarray) -> Any:
        obs, *rest = step(actions)
        if len(env.actions) == 4 + late:
            obs["lane"][0] = 99
        return (obs, *rest)

    env.step = wrong_in_the_second_episode  # type: ignore[method-assign]
    with pytest.raises(EnvironmentFault, match="number 0, step 2, field obs/lane: is 99"):
        sampled(VectorAdapter(env, name="later"), [6], actor=LegalActor)


def test_same_step_without_last_observations_is_a_fault() -> None:
    class Silent(Counters):
        def step(self, actions: np.ndarray) -> Any:
            *rest, info = super().step(actions)
            info.pop("final_obs", None)
            return (*rest, info)

    adapter = VectorAdapter(Silent(3, AutoresetMode.SAME_STEP), name="silent")
    with pytest.raises(EnvironmentFault, match=r"number 0, step 2, field info\['final_obs'\]: is missing"):
        sampled(adapter, [5], actor=LegalActor)


def test_a_vector_that_does_not_say_its_mode_is_refused() -> None:
    env = Counters(2, AutoresetMode.DISABLED)
    env.metadata = {}
    with pytest.raises(
        ValueError, match=r"metadata\['autoreset_mode'\] is None; expected one of .*SAME_STEP"
    ):
        VectorAdapter(env, name="mute")


def calls(lanes: int, mode: AutoresetMode) -> int:
    """Python and C calls of one tick in which nothing ends."""
    env = Counters(lanes, mode)
    adapter = VectorAdapter(env, name="counters")
    arrivals = arrivals_of(adapter)
    adapter.reset_into(arrivals, [1] * lanes)
    env.count[:] = -9
    made = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        adapter.step_into({"default": np.ones(lanes, np.int64)}, arrivals)
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("mode", MODES)
def test_the_work_in_python_does_not_grow_with_the_lanes(mode: AutoresetMode) -> None:
    assert calls(1024, mode) < calls(4, mode) + 50


def test_cartpoles_own_vector_runs_with_a_thousand_lanes() -> None:
    env = gymnasium.make_vec("CartPole-v1", 1024, vectorization_mode="vector_entry_point")
    (trajectory,), _, env_steps = sampled(VectorAdapter(env, name="CartPole-v1"), [40], actor=SumActor)
    assert env_steps == trajectory.steps < 40 * 1024
