"""Gymnasium environments as lanes: what ends, what is saved, what is put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import NormalizeReward, TimeLimit, TransformReward

from rl_platform.data.trajectory import TERMINATED
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.envs.wrappers import KeepObservation
from rl_platform.workers.rollout_worker import RolloutWorker
from tests.envs.chains import ChainEnv, SavedChainEnv
from tests.workers.rows import same_trajectory
from tests.workers.simple_actors import SumActor

Make = Callable[[], Any]


def worker(make: Make) -> RolloutWorker:
    adapter = GymnasiumAdapter(make, 2, name="chain")
    return RolloutWorker(adapter, {"default": SumActor(adapter.lanes["default"].spaces)})


class Both(ChainEnv):
    """Says that it is terminated and truncated at once."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, terminated or truncated, terminated or truncated, info


def test_an_episode_that_ends_both_ways_is_terminated() -> None:
    kept = worker(Both).sample(30).trajectories["default"]
    flags = kept.flags[kept.final.row, kept.final.lane]
    assert len(flags)
    assert ((flags & 6) == TERMINATED).all()


class Counted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A wrapper with a state of its own: every third reward is doubled."""

    count = 0

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        self.count += 1
        return obs, float(reward) * (2 if self.count % 3 == 0 else 1), *rest

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SavedChainEnv(50),
        lambda: TimeLimit(SavedChainEnv(50), 5),
        lambda: TransformReward(TimeLimit(SavedChainEnv(50), 7), lambda reward: reward / 2),
        lambda: KeepObservation(SavedChainEnv(50), [1, 0, 3]),
        lambda: Counted(TimeLimit(SavedChainEnv(50), 7)),
    ],
)
@pytest.mark.parametrize("ticks", [3, 11])
def test_environments_go_on_from_their_state_with_their_wrappers(make: Make, ticks: int) -> None:
    made, other = worker(make), worker(make)
    made.sample(ticks)
    document, arrays = made.snapshot()
    assert document["environments"] is not None
    other.restore(document, arrays)
    same_trajectory(made.sample(20).trajectories["default"], other.sample(20).trajectories["default"])


@pytest.mark.parametrize("make", [ChainEnv, lambda: NormalizeReward(SavedChainEnv())])
def test_an_environment_or_wrapper_that_cannot_tell_its_state_is_not_saved(make: Make) -> None:
    made = worker(make)
    made.sample(3)
    assert made.snapshot()[0]["environments"] is None


@pytest.mark.parametrize(
    ("indices", "problem"),
    [([4], r"indices are \[4\]; expected some of 0 to 3"), ([], "expected some of"), ([-1], "0 to 3")],
)
def test_an_index_that_is_not_there_is_refused(indices: list[int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KeepObservation(ChainEnv(), indices)


def test_what_is_kept_of_an_observation_is_in_the_order_asked_for() -> None:
    env = KeepObservation(gymnasium.make("CartPole-v1"), [2, 0])
    full = env.unwrapped.observation_space
    assert np.array_equal(env.observation_space.high, full.high[[2, 0]])  # type: ignore[attr-defined]
    obs, _ = env.reset(seed=1)
    assert np.array_equal(obs, np.array(env.unwrapped.state, np.float32)[[2, 0]])  # type: ignore[attr-defined]
