"""What an algorithm is to the driver: how it acts, how it learns, and the plan that joins the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rl_platform.data.recipe import DataFn
from rl_platform.data.spaces import Spaces
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.policy import Policy
from rl_platform.workers.learner import Learning
from rl_platform.workers.objective import Objective
from rl_platform.workers.replay_draws import Draws, Uniform

Gradients = tuple[Objective, tuple[DataFn, ...]]
"""An objective, and the recipe of the columns it reads."""
Exploration = Callable[[int, int], Mapping[str, Any]]
"""(env steps so far, environments of the run) → knobs."""


def _none(config: Any) -> int:
    del config
    return 0


def _uniform(config: Any, capacity: int) -> Draws:
    del config, capacity
    return Uniform()


def _no_exploration(config: Any) -> Exploration:
    del config
    return lambda env_steps, environments: {}


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
    replay_draws: Callable[[Any, int], Draws] = _uniform  # how they are drawn from a buffer so large
    gradients: Callable[[Any], Gradients] | None = None  # of what workers send gradients, if they do
    look_back: Callable[[Any], int] = _none  # rows of the previous fragment that trajectories carry
    exploration: Callable[[Any], Exploration] = _no_exploration  # knobs such as epsilon
    learns_in_workers: bool = False  # rollout workers are the learner's ranks, where there are any
    refuse: Callable[[Spaces, ModelSpec], None] = _anything  # raises ValueError for what is not supported
