"""What travels along the edges of a plan: at most a kilobyte of control, with references to the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rl_platform.data.recipe import DataFn

Ref = Any
"""The data itself in one process, an object reference on Ray."""


class Kind(StrEnum):
    """What an item stands for; `Flow.then` refuses operators that take another kind."""

    ROLLOUT = "Rollout"  # one fragment of one worker, a trajectory per policy
    BATCH = "Batch"  # fragments to be learned from together
    SAMPLE = "Sample"  # minibatches drawn from a replay buffer
    GRADIENTS = "Gradients"
    UPDATE = "Update"  # the learner has learned from it
    RESULT = "Result"  # what the driver sees


@dataclass(slots=True)
class Item:
    """One control item. ``source`` and ``sequence`` say which worker's how-manyth fragment: a gap is a
    drop. ``more``: how many fragments that were asked for together with it are still to come. ``room``: env
    steps it would hold had no environment spent a tick on its reset.
    """

    kind: Kind
    data: tuple[Ref, ...] = ()
    env_steps: int = 0
    agent_steps: dict[str, int] = field(default_factory=dict)
    lanes: int = 0
    nbytes: int = 0
    source: int = 0
    sequence: int = 0
    more: int = 0
    room: int = 0
    version: int = 0
    born: float = 0.0
    recipe: tuple[DataFn, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
