"""What is there when a phase begins is looked through for garbage no more."""

from __future__ import annotations

import gc
import weakref
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from rl_platform.driver.preflight import preflight
from rl_platform.driver.settled import settled
from rl_platform.envs.watchdog import Watchdog
from tests.integration.probes import job


def test_a_phase_is_shown_and_what_was_there_is_left_out_of_collections() -> None:
    shown: list[str] = []
    phase, before = settled(shown.append), gc.get_freeze_count()
    made = [[i] for i in range(1000)]
    phase("training")
    assert shown == ["training"]
    assert gc.get_freeze_count() >= before + len(made)


class Circular(gymnasium.Env[Any, Any]):
    """Each refers to itself, as many do."""

    observation_space, action_space = Box(-1, 1, (2,)), Discrete(2)
    made: ClassVar[list[weakref.ref[Circular]]] = []

    def __init__(self) -> None:
        self.me = self
        self.made.append(weakref.ref(self))

    def reset(self, **options: Any) -> Any:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(2, np.float32), 1.0, True, False, {}


def test_the_environment_that_was_tried_out_is_not_kept() -> None:
    preflight(job({"entrypoint": f"{__name__}:Circular"}, {"ppo": {}}), Watchdog(60.0, print))
    assert [it() for it in Circular.made] == [None]
