"""The state of one environment with its wrappers, where it offers ``get_state()`` and ``set_state(state)``.

The state is what the environment says (JSON and arrays), plus its own random generator and the step count
of a time limit, which belong to Gymnasium rather than to the environment.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit, TransformAction, TransformReward

STATELESS = (
    OrderEnforcing,
    PassiveEnvChecker,
    TransformAction,
    TransformReward,
    gymnasium.ObservationWrapper,
)


def get_environment_state(env: Any) -> dict[str, Any] | None:
    """The state of an environment, or None where it or one of its wrappers cannot tell."""
    base = env.unwrapped
    if not (callable(getattr(base, "get_state", None)) and callable(getattr(base, "set_state", None))):
        return None
    wrappers: list[Any] = []
    for layer in _wrappers(env):
        if isinstance(layer, TimeLimit):
            wrappers.append(layer._elapsed_steps)
        elif "get_state" in type(layer).__dict__:
            wrappers.append(layer.get_state())
        elif isinstance(layer, STATELESS):
            wrappers.append(None)
        else:
            return None
    generator = getattr(base, "_np_random", None)
    random = None if generator is None else generator.bit_generator.state
    return {"environment": base.get_state(), "random": random, "wrappers": wrappers}


def set_environment_state(env: Any, state: dict[str, Any]) -> None:
    """Put a state back into an environment that was made alike; it is reset first, as wrappers expect."""
    env.reset(seed=0)
    base = env.unwrapped
    base.set_state(state["environment"])
    if state["random"] is not None:
        base.np_random.bit_generator.state = state["random"]
    for layer, kept in zip(_wrappers(env), state["wrappers"], strict=True):
        if isinstance(layer, TimeLimit):
            layer._elapsed_steps = kept
        elif "get_state" in type(layer).__dict__:
            layer.set_state(kept)


def _wrappers(env: Any) -> list[Any]:
    """From the outermost inwards, without the environment itself."""
    layers = []
    while isinstance(env, gymnasium.Wrapper):
        layers.append(env)
        env = env.env
    return layers
