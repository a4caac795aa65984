"""A rollout worker in a process of its own: what a Ray actor runs. Ray itself is not needed here.

What its environment raises is returned, not raised, so that the driver sees the environment's own traceback
and decides what it means.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rl_platform.data.shortened import TRACEBACK_CHARACTERS, shortened
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.faults import words_of
from rl_platform.workers.blueprint import Blueprint
from rl_platform.workers.fragment import Told, fetched, head_of, told_of
from rl_platform.workers.rollout_worker import RolloutWorker

HUNG = 70  # exit code of a worker whose environment never came back to Python


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker that cannot go on."""

    message: str
    of_environment: bool
    traceback: str


Loads = list[list[Any]]
"""Policy, knobs and version of each weights vector that comes with a request."""
Report = Told | Broken
"""What is told of a fragment; its trajectories travel apart."""


class RemoteWorker:
    """Worker number ``source``, whose first fragment has the number ``sequence``. Built with its first
    call.
    """

    def __init__(self, blueprint: Blueprint, source: int, sequence: int) -> None:
        self.blueprint, self.source, self.sequence = blueprint, source, sequence
        self.worker: RolloutWorker | None = None
        self.broken: Broken | None = None

    def hello(self) -> str | Broken:
        """The name of its host, once its environments are made."""
        return self._guarded(lambda worker: socket.gethostname()) or self._fault()

    def sample(
        self, ticks: int, loads: Loads, *weights: np.ndarray
    ) -> tuple[Report, Mapping[str, Trajectory] | None]:
        """A fragment of ``ticks`` ticks, acted in by the policies as they were loaded last."""
        return self._guarded(lambda worker: _sample(worker, ticks, loads, weights)) or (self._fault(), None)

    def reset(self, key: int) -> None:
        """See `RolloutWorker.reset`."""
        self._guarded(lambda worker: worker.reset(key))

    def begin(self, sequence: int) -> None:
        """New environments, whose first fragment has this number."""
        if self.worker is not None:
            self.worker.close()
        self.worker, self.sequence = None, sequence

    def snapshot(self) -> tuple[dict[str, Any], Tree] | None:
        """See `RolloutWorker.snapshot`; None where it is broken."""
        state: tuple[dict[str, Any], Tree] | None = self._guarded(lambda worker: worker.snapshot())
        return state

    def restore(self, document: Mapping[str, Any], arrays: Tree) -> None:
        """See `RolloutWorker.restore`."""
        self._guarded(lambda worker: worker.restore(document, arrays))

    def _guarded(self, act: Any) -> Any:
        """What ``act`` gives, or None where the worker is broken, or breaks now."""
        if self.broken is not None:
            return None
        try:
            if self.worker is None:
                self.worker = self._build()
            return act(self.worker)
        # Nobody but the environment interrupts a worker from a keyboard.
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - told to the driver, whatever it is
            text = shortened("".join(traceback.format_exception(error)), TRACEBACK_CHARACTERS)
            of_environment = isinstance(error, EnvironmentFault | KeyboardInterrupt)
            self.broken = Broken(self._wording(error), of_environment, text)
            return None

    def _wording(self, error: BaseException) -> str:
        if isinstance(error, EnvironmentFault):
            return str(error)
        named = f"{type(error).__name__}: {words_of(error)}".removesuffix(": ")
        if isinstance(error, KeyboardInterrupt):  # no adapter has named environment and step
            return f"rollout worker {self.source}: its environment raised {named}"
        return named

    def _build(self) -> RolloutWorker:
        worker = self.blueprint.build(self.source, _leave)
        if self.sequence:
            worker.sequence = self.sequence
            worker.reset(-1 - self.sequence)
        return worker

    def _fault(self) -> Broken:
        assert self.broken is not None
        return self.broken


def _sample(
    worker: RolloutWorker, ticks: int, loads: Loads, weights: tuple[np.ndarray, ...]
) -> tuple[Told, Mapping[str, Trajectory]]:
    for (policy, knobs, version), flat in zip(loads, weights, strict=True):
        worker.load(policy, flat, knobs, version)
    began = time.perf_counter()
    fragment = worker.sample(ticks)
    seconds = time.perf_counter() - began
    data = {policy: fetched(trajectory) for policy, trajectory in fragment.trajectories.items()}
    heads = {policy: head_of(trajectory) for policy, trajectory in data.items()}
    return told_of(replace(fragment, trajectories=heads, seconds=seconds)), data


def _leave(message: str) -> None:
    """From the watchdog's thread: the environment hangs where no signal reaches it."""
    sys.stderr.write(f"rollout worker: {message}\n")
    sys.stderr.flush()
    os._exit(HUNG)
