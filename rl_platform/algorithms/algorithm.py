"""What an algorithm is to the driver: how it acts, how it learns, and the plan that joins the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rl_platform.data.spaces import Spaces
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.policy import Policy
from rl_platform.workers.learner import Learning

Exploration = Callable[[int], dict[str, float]]


def _none(config: Any) -> int:
    del config
    return 0


def _no_exploration(config: Any) -> Exploration:
    del config
    return lambda env_steps: {}


def _anything(spaces: Spaces, model: ModelSpec) -> None:
    del spaces, model


@dataclass(frozen=True)
class Algorithm:
    """One algorithm. ``config`` below is its member of ``spec.algorithm`` (for a custom one: the free
    map).
    """

    policy: Callable[[Spaces, ModelSpec, Any], Policy]
    learning: Callable[[Any], Learning]
    plan: Callable[[Run, Any], Plan]
    replay_capacity: Callable[[Any], int] = _none  # transitions per policy; 0: no replay buffer
    look_back: Callable[[Any], int] = _none  # rows of the previous fragment that trajectories carry
    exploration: Callable[[Any], Exploration] = _no_exploration  # env steps → knobs such as epsilon
    refuse: Callable[[Spaces, ModelSpec], None] = _anything  # raises ValueError for what is not supported
