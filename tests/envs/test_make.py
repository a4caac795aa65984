"""From the environment group of a job to an adapter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.faults import BadEnvironment
from rl_platform.envs.make import make_adapter
from tests.envs.chains import ChainEnv


@dataclass
class Wrapper:
    entrypoint: str
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Spec:
    kind: str = "gymnasium"
    id: str | None = None
    entrypoint: str | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Wrapper, ...] = ()
    max_episode_steps: int | None = None
    vectorized: bool = False
    max_set_size: int = 8


def broken() -> gymnasium.Env[Any, Any]:
    raise ValueError("no licence")


def not_an_environment() -> int:
    return 3


def kept(env: Any) -> Any:
    return env


def forgetful(env: Any) -> None:
    """A wrapper that lost its `return`."""


def counting(env: Any) -> int:
    return 3


def failing(env: Any) -> Any:
    raise ValueError("no licence")


def test_a_registered_id_is_made_with_its_time_limit() -> None:
    adapter: Any = make_adapter(Spec(id="CartPole-v1"), 3)
    assert (adapter.name, adapter.num_envs, adapter.lockstep) == ("CartPole-v1", 3, True)
    assert adapter.lanes["default"].spaces.obs["obs"].shape == (4,)
    env = adapter._envs[0]
    assert isinstance(env, TimeLimit)
    assert not isinstance(env.env, OrderEnforcing)
    assert env._max_episode_steps == 500
    assert gymnasium.spec("CartPole-v1").order_enforce, "the registry itself is left alone"


def test_kwargs_wrappers_and_the_step_limit_are_applied_in_order() -> None:
    keep = "rl_platform.envs.wrappers:KeepObservation"
    spec = Spec(
        entrypoint="tests.envs.chains:ChainEnv",
        kwargs={"longest": 5},
        wrappers=(Wrapper(keep, {"indices": [3, 1]}), Wrapper(keep, {"indices": [1]})),
        max_episode_steps=2,
    )
    adapter: Any = make_adapter(spec, 1, [("solo", ["*"])])
    env = adapter._envs[0]
    assert list(adapter.lanes) == ["solo"]
    assert (env.unwrapped.longest, env.observation_space.shape) == (5, (1,))
    env.unwrapped.longest = 100
    env.reset(seed=3)
    assert [env.step(0)[0].tolist() for _ in range(1)] == [[1.0]]
    assert env.step(0)[3] or env.unwrapped.end <= 2


def test_a_step_limit_replaces_the_registered_one() -> None:
    adapter: Any = make_adapter(Spec(id="CartPole-v1", max_episode_steps=7), 1)
    assert adapter._envs[0]._max_episode_steps == 7


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (Spec(id="CartPole-v7"), r"environment\.id 'CartPole-v7' is not registered; did you mean CartPole-v"),
        (Spec(id="Cartpole-v1"), "did you mean CartPole-v1"),
        (Spec(id="no_such_module:Thing-v0"), "there is no module 'no_such_module'"),
        (
            Spec(entrypoint="no_such_module:make"),
            r"environment\.entrypoint .*there is no module 'no_such_module'",
        ),
        (Spec(entrypoint="tests.envs.chains:ChianEnv"), "has no 'ChianEnv'; did you mean ChainEnv"),
        (
            Spec(entrypoint="tests.envs.test_make:not_an_environment"),
            "made <class 'int'>; expected a gymnasium.Env",
        ),
        (
            Spec(id="CartPole-v1", wrappers=(Wrapper("a.b:c"),)),
            r"environment\.wrappers\[0\]\.entrypoint 'a\.b:c'",
        ),
        (Spec(kind="external"), "kind external is not supported yet; expected gymnasium"),
        (Spec(kind="pettingzooParalel", entrypoint="a:b"), "did you mean pettingzooParallel"),
        (Spec(kind="pettingzooAec", id="x"), "needs an environment.entrypoint"),
        (
            Spec(kind="pettingzooParallel", entrypoint="tests.envs.chains:ChainEnv"),
            r"without possible_agents; expected a pettingzoo\.ParallelEnv.* \(check environment\.kind\)",
        ),
        (
            Spec(kind="pettingzooAec", entrypoint="tests.envs.chains:ChainEnv"),
            r"without possible_agents and last; expected a pettingzoo\.AECEnv",
        ),
        (
            Spec(kind="pettingzooParallel", entrypoint="tests.envs.test_pettingzoo_aec_adapter:Turns"),
            r"whose agents take turns; expected a pettingzoo\.ParallelEnv",
        ),
        (
            Spec(kind="pettingzooAec", entrypoint="tests.envs.test_pettingzoo_adapter:Scripted"),
            r"without last; expected a pettingzoo\.AECEnv",
        ),
    ],
)
def test_what_cannot_be_made_says_which_field_and_what_would_be_right(spec: Spec, problem: str) -> None:
    with pytest.raises(BadEnvironment, match=problem):
        make_adapter(spec, 1)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Spec(id="CartPole-v1"), "a gymnasium.Env"),
        (Spec(entrypoint="tests.envs.chains:ChainEnv"), "a gymnasium.Env"),
        (Spec(id="CartPole-v1", vectorized=True), "a gymnasium.vector.VectorEnv"),
        (
            Spec(kind="pettingzooParallel", entrypoint="tests.envs.test_pettingzoo_adapter:Scripted"),
            "an environment of PettingZoo",
        ),
        (
            Spec(kind="pettingzooAec", entrypoint="tests.envs.test_pettingzoo_aec_adapter:Turns"),
            "an environment of PettingZoo",
        ),
    ],
)
def test_a_wrapper_that_forgot_its_return_is_named(spec: Spec, expected: str) -> None:
    keep = Wrapper("tests.envs.test_make:kept")
    for wrapper, made in (("forgetful", "None"), ("counting", "<class 'int'>")):
        spec.wrappers = (keep, Wrapper(f"tests.envs.test_make:{wrapper}"), keep)
        problem = (
            f"environment.wrappers[1].entrypoint 'tests.envs.test_make:{wrapper}' returned {made}; "
            f"expected {expected} (check its return)"
        )
        with pytest.raises(BadEnvironment, match=re.escape(problem)):
            make_adapter(spec, 1)


def test_a_wrapper_that_raises_is_the_environments_fault() -> None:
    for vectorized in (False, True):
        spec = Spec(
            id="CartPole-v1", vectorized=vectorized, wrappers=(Wrapper("tests.envs.test_make:failing"),)
        )
        with pytest.raises(EnvironmentFault, match=r"number 0, start, .*raised ValueError: no licence"):
            make_adapter(spec, 1)


def test_a_constructor_that_raises_is_the_environments_fault() -> None:
    with pytest.raises(EnvironmentFault, match=r"number 0, start, .*raised ValueError: no licence"):
        make_adapter(Spec(entrypoint="tests.envs.test_make:broken"), 1)


def test_a_single_agent_has_one_policy() -> None:
    with pytest.raises(BadEnvironment, match=r"policies \['a', 'b'\]: CartPole-v1 has a single agent"):
        make_adapter(Spec(id="CartPole-v1"), 1, [("a", ["*"]), ("b", ["x"])])
    with pytest.raises(BadEnvironment, match="expected one policy for the agents"):
        make_adapter(Spec(id="CartPole-v1"), 1, [("a", ["agent_*"])])


def test_a_vector_environment_is_made_with_the_number_of_environments() -> None:
    adapter = make_adapter(Spec(id="CartPole-v1", vectorized=True), 5)
    assert adapter.num_envs == 5
    adapter.close()


def test_an_adapter_made_of_chains_starts_every_lane_from_its_seed() -> None:
    adapter: Any = make_adapter(Spec(entrypoint="tests.envs.chains:ChainEnv"), 2)
    reference = ChainEnv()
    adapter._envs[0].reset(seed=11)
    reference.reset(seed=11)
    assert adapter._envs[0].unwrapped.end == reference.end
    assert np.array_equal(adapter._envs[0].unwrapped._observe(0, 0), reference._observe(0, 0))
