"""Rollout workers in other processes as a source: requests go out as far as credit allows, fragments come
back, and what was lost with a worker is counted; whoever is up is asked for more instead.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Literal

from rl_platform.execution.counters import Counters
from rl_platform.execution.fragments import HeldFragments, sampled_with, taken
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.run import Run
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.group import Request, WorkerGroup
from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.worker_losses import WorkerLost

log = logging.getLogger(__name__)

Order = Literal["worker", "ready"]
LOST = "worker lost (estimate)"
LAG = "policy lag"


@dataclass
class RemoteRollouts:
    """Fragments of a group of workers. The next request to a worker carries what is published by then."""

    run: Run
    group: WorkerGroup
    env_steps: int  # over all workers; 0: ``ticks`` for each
    ticks: int
    order: Order = "worker"
    in_flight: int = 1
    max_lag: int | None = None
    name: str = "rollouts"
    gives: Kind = Kind.ROLLOUT
    site: str = "rollouts"
    state: HeldFragments = field(default_factory=HeldFragments)
    outstanding: deque[Request] = field(default_factory=deque)
    asked: int = 0  # requests of the round that is outstanding

    @property
    def detail(self) -> str:
        ahead = f", {self.in_flight} requests in flight" if self.in_flight > 1 else ""
        size = f"{self._ticks()} ticks of {self.group.num_envs} environments"
        order = "in the workers' order" if self.order == "worker" else "as they come"
        return f"{self.group.count} workers, {size} each, {order}{ahead}"

    @property
    def depth(self) -> int:
        """Requests and fragments on their way."""
        return len(self.outstanding) + self.state.depth

    @property
    def empty(self) -> bool:
        return False

    def issue(self) -> None:
        """Ask workers that have credit; a round begins when the one before has been taken wholly."""
        self.group.revive()
        if self.order == "worker":
            self.group.name_silent(self.outstanding, self.asked)
        if self.state.fragments or (self.order == "worker" and self.outstanding):
            return
        asked = Counter(request.worker for request in self.outstanding)
        up = self.group.ready()
        for turn in range(1, 1 + (self.in_flight if self.order == "ready" else 1)):
            for worker in up:
                if asked[worker] < turn:
                    self._ask(worker)
                    asked[worker] += 1
        self.asked = len(self.outstanding)

    def waits(self) -> list[Ref]:
        """All that is outstanding, the oldest first; of a round only what comes next."""
        if self.state.fragments or not self.outstanding:
            return []
        chosen = [self.outstanding[0]] if self.order == "worker" else self.outstanding
        return [request.report for request in chosen]

    def take(self, counters: Counters, ready: Ref | None = None) -> Item | None:
        """None where the worker was lost, the fragment is too old, or no worker is there."""
        if self.state.fragments:
            return self._accepted(self.state.fragments.popleft(), counters, time.monotonic())
        if ready is None:
            counters.replaced += self.group.losses()
            self.group.pause()
            return None
        actor = next(each.actor for each in self.outstanding if each.report is ready)
        # A worker answers in order, even where its later answer is noticed first.
        request = next(each for each in self.outstanding if each.actor is actor)
        fragment = self._received(request, counters)
        return None if fragment is None else self._accepted(fragment, counters, request.born)

    def settle(self, counters: Counters) -> None:
        """Every request that is outstanding becomes a fragment that is held, or is lost and counted."""
        while self.outstanding:
            try:
                fragment = self._received(self.outstanding[0], counters)
            except LearnerLost:  # it was not begun: the weights for it are gone
                continue
            if fragment is not None:
                self.state.fragments.append(fragment)

    def _ask(self, worker: int) -> None:
        self.outstanding.append(self.group.request(worker, self._ticks(), self.run.published))

    def _received(self, request: Request, counters: Counters) -> Fragment | None:
        self.outstanding.remove(request)
        try:
            return self.group.receive(request)
        except WorkerLost as lost:
            if lost.at_work:
                per_env_step = sum(counters.agent_steps.values()) / max(1, counters.env_steps)
                counters.drop(LOST, round(request.ticks * self.group.num_envs * (per_env_step or 1)))
            log.warning("%s", lost)
            return None
        finally:
            counters.replaced += self.group.losses()

    def _accepted(self, fragment: Fragment, counters: Counters, born: float) -> Item | None:
        item = taken(self.run, counters, fragment, born)
        if self.order == "worker":
            item.more = len(self.state.fragments) + len(self.outstanding)
        if self.max_lag is not None and counters.version - sampled_with(self.run, fragment) > self.max_lag:
            counters.drop(LAG, sum(fragment.agent_steps.values()))
            return None
        return item

    def _ticks(self) -> int:
        workers = max(1, self.group.count)
        return self.ticks or max(1, -(-self.env_steps // (self.group.num_envs * workers)))
