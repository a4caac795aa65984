"""Rollout workers in this process: one of them, sampled inline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import EnvironmentAdapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.rollout_worker import RolloutWorker
from rl_platform.workers.weights import Weights
from rl_platform.workers.worker_gradients import Differentiator


class PublishedPolicy(Protocol):
    """A policy as the next request carries it."""

    @property
    def held(self) -> Weights: ...

    @property
    def knobs(self) -> Mapping[str, Any]: ...

    @property
    def version(self) -> int: ...


class LocalWorkers:
    """One rollout worker; takes the arguments of `RolloutWorker`. ``first_step_at`` is a
    `time.perf_counter`.
    """

    count = 1

    def __init__(
        self,
        adapter: EnvironmentAdapter,
        actors: Mapping[str, Actor],
        *,
        look_back: int = 0,
        state_every: int | None = None,
        seed: int = 0,
        watchdog: Watchdog | None = None,
        collect_moments: bool = False,
        return_gamma: float = 0.99,
        differentiator: Differentiator | None = None,
    ) -> None:
        self.worker = RolloutWorker(
            adapter,
            actors,
            look_back=look_back,
            state_every=state_every,
            seed=seed,
            watchdog=watchdog,
            collect_moments=collect_moments,
            return_gamma=return_gamma,
            differentiator=differentiator,
        )
        self.num_envs = adapter.num_envs
        self.first_step_at: float | None = None

    def sample(self, worker: int, ticks: int, published: Mapping[str, PublishedPolicy]) -> Fragment:
        """A fragment of ``ticks`` ticks, acted in by the published policies. Raises EnvironmentFault."""
        if worker:
            raise IndexError(f"there is one worker in this process, number 0; asked for number {worker}")
        for policy, actor in self.worker.actors.items():
            if actor.version != published[policy].version:
                mine = published[policy]
                self.worker.load(policy, mine.held.flat, mine.knobs, mine.version)
        if self.first_step_at is None:
            self.first_step_at = time.perf_counter()
        return self.worker.sample(ticks)

    def reset(self, key: int) -> None:
        """New episodes everywhere, from seeds derived with ``key``. See `RolloutWorker.reset`."""
        self.worker.reset(key)

    def snapshot(self) -> list[tuple[dict[str, Any], Tree]]:
        """See `RolloutWorker.snapshot`, of each worker."""
        return [self.worker.snapshot()]

    def restore(self, states: list[tuple[dict[str, Any], Tree]]) -> None:
        """See `RolloutWorker.restore`. What more workers were at is not gone on with."""
        document, arrays = states[0]
        if document.get("lost"):
            self.worker.sequence = document["sequence"]
            self.worker.reset(-1 - self.worker.sequence)
        else:
            self.worker.restore(document, arrays)

    def close(self) -> None:
        """Close the environments."""
        self.worker.close()
