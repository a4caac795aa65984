"""Sampling where lanes act at their own pace: many agents, several policies, environments that reset a
tick late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import Arrivals, EnvironmentAdapter, EnvironmentFault
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor
from rl_platform.workers.abandoned import Abandoned
from rl_platform.workers.columns import Identity
from rl_platform.workers.episode import Episode
from rl_platform.workers.lane_book import LaneBook
from rl_platform.workers.observation_checks import ObservationChecks

ENV_ARRAYS = ("episode", "tick", "paid", "resetting")


class ScatteredSampler:
    """A `LaneBook` for each policy, and the episodes of the environments they share."""

    def __init__(
        self,
        adapter: EnvironmentAdapter,
        actors: Mapping[str, Actor],
        identities: Mapping[str, Identity],
        watchdog: Watchdog,
    ) -> None:
        self.adapter, self.watchdog = adapter, watchdog
        self.books = {
            policy: LaneBook(actors[policy], lanes, identities[policy])
            for policy, lanes in adapter.lanes.items()
        }
        self.checks = {
            policy: ObservationChecks(adapter.name, lanes) for policy, lanes in adapter.lanes.items()
        }
        self.episode = np.zeros(adapter.num_envs, np.int64)
        self.tick = np.zeros(adapter.num_envs, np.int32)
        self.paid = np.zeros(adapter.num_envs, np.float64)
        self.resetting = np.zeros(adapter.num_envs, bool)
        self.lives: list[dict[str, list[float]]] = [{} for _ in range(adapter.num_envs)]

    @property
    def arrivals(self) -> dict[str, Arrivals]:
        return {policy: book.arrivals for policy, book in self.books.items()}

    def reset(self, seeds: list[int]) -> Abandoned:
        """New episodes everywhere, whatever was open."""
        abandoned = Abandoned()
        for book in self.books.values():
            abandoned = abandoned.plus(book.forget())
        self.episode += 1
        self.tick[:], self.paid[:], self.resetting[:] = 0, 0.0, False
        self.lives = [{} for _ in self.lives]
        self.adapter.reset_into(self.arrivals, seeds)
        for book in self.books.values():
            book.arrivals.first[:] = book.arrivals.ready
        return abandoned

    def sample(
        self, ticks: int, noise: Mapping[str, np.ndarray | None]
    ) -> tuple[dict[str, Trajectory], int, list[Episode]]:
        """Trajectories of ``ticks`` ticks by policy, the env steps they took and the episodes that ended."""
        for book in self.books.values():
            book.begin(ticks)
        episodes: list[Episode] = []
        try:
            env_steps = sum(self._tick(t, noise, episodes) for t in range(ticks))
        except EnvironmentFault:
            # What is not finite often makes a later step fail: name the cause and not its effect.
            for policy, book in self.books.items():
                self.checks[policy].finite(book.columns.obs, book.columns.reward, book.columns.tick)
            raise
        trajectories = {policy: book.finish() for policy, book in self.books.items()}
        for policy, trajectory in trajectories.items():
            self.checks[policy](trajectory)
        return trajectories, env_steps, episodes

    def _tick(self, t: int, noise: Mapping[str, np.ndarray | None], episodes: list[Episode]) -> int:
        actions = {}
        for policy, book in self.books.items():
            drawn = noise[policy]
            actions[policy] = book.act(self.episode, self.tick, None if drawn is None else drawn[t])
        for book in self.books.values():
            book.expect()
        self.watchdog.beat += 1
        over = self.adapter.step_into(actions, self.arrivals)
        self.watchdog.beat += 1
        stepped = ~self.resetting
        self.tick += stepped
        for book in self.books.values():
            self.paid += np.bincount(book.env, weights=book.arrivals.reward, minlength=len(self.paid))
            book.receive(over, self.lives)
        for env in np.flatnonzero(over):
            episodes.append(Episode(float(self.paid[env]), int(self.tick[env]), self.lives[env]))
            self.lives[env] = {}
        self.episode += over
        self.tick[over], self.paid[over] = 0, 0.0
        if self.adapter.late_reset:
            self.resetting = over.copy()
        return int(stepped.sum())

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """What `restore` needs, without the environments."""
        arrays: Tree = {name: getattr(self, name).copy() for name in ENV_ARRAYS}
        lives = [{policy: list(paid) for policy, paid in lives.items()} for lives in self.lives]
        document: dict[str, Any] = {"lives": lives, "policies": {}}
        for policy, book in self.books.items():
            document["policies"][policy], mine = book.snapshot()
            arrays |= {f"{policy}|{name}": leaf for name, leaf in mine.items()}
        return document, arrays

    def restore(self, document: dict[str, Any], arrays: Tree) -> dict[str, Arrivals]:
        """Put a snapshot back; returns the arrivals that hold the observations to act on."""
        for name in ENV_ARRAYS:
            setattr(self, name, arrays[name].copy())
        self.lives = [{policy: list(paid) for policy, paid in lives.items()} for lives in document["lives"]]
        for policy, book in self.books.items():
            prefix = f"{policy}|"
            mine = {
                name.removeprefix(prefix): leaf for name, leaf in arrays.items() if name.startswith(prefix)
            }
            book.restore(document["policies"][policy], mine)
        return self.arrivals
