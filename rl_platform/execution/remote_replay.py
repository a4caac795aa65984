"""Replay in other processes: what `rl_platform.execution.replay` does, over shards. Only references and
masses pass this process.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rl_platform.data.recipe import TransitionFn
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.parts import State
from rl_platform.execution.run import Run
from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.replay_shards import Draw, ReplayShards, ShardLost

log = logging.getLogger(__name__)


def store_in_shards(
    shards: ReplayShards, transitions: TransitionFn
) -> Callable[[Item, Counters], list[Item]]:
    """Send each fragment to the shard whose turn it is: worker i begins with shard i."""

    def store(item: Item, counters: Counters) -> list[Item]:
        if item.data:
            first = item.data[0]
            together = {each.policy: each for each in item.data}
            data = first.data if isinstance(first, RemoteTrajectory) else together
            agent_steps = sum(each.steps for each in item.data)
            shards.store(item.source + item.sequence, list(together), data, agent_steps, transitions)
        count(shards, counters)
        return [item]

    return store


def count(shards: ReplayShards, counters: Counters) -> int:
    """Add what shards have said to the counters. How many priorities came too late."""
    tally = shards.take_tally()
    counters.stored += tally.stored
    counters.overwritten += tally.overwritten
    for reason, agent_steps in tally.dropped.items():
        counters.drop(reason, agent_steps)
    return tally.late


@dataclass
class RemoteReplay:
    """Samples from shards. Up to ``in_flight`` are drawn while others are learned from; with 0 each is drawn
    when it is taken, from all that was stored before: reproducible.
    """

    run: Run
    shards: ReplayShards
    batch_size: int
    minibatches: int
    correction: Callable[[int], float] | None
    in_flight: int
    name: str = "replay"
    gives: Kind = Kind.SAMPLE
    site: str = "replay"
    state: State | None = None
    outstanding: deque[Draw] = field(default_factory=deque)

    @property
    def detail(self) -> str:
        ahead = f", {self.in_flight} in flight" if self.in_flight else ""
        return f"{self.minibatches} minibatches of {self.batch_size}{ahead}"

    @property
    def depth(self) -> int:
        """Samples on their way."""
        return len(self.outstanding)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        if not self.shards.size:
            self.shards.settle()
        return not self.shards.size

    def issue(self) -> None:
        """Samples are asked for in `take`, which knows how far the run is."""

    def waits(self) -> list[Ref]:
        return [self.outstanding[0].asked[0][2]] if self.outstanding else []

    def settle(self, counters: Counters) -> None:
        """Samples that are on their way are not learned from; what was stored is known exactly."""
        self.outstanding.clear()
        self.shards.settle()
        count(self.shards, counters)

    def take(self, counters: Counters, ready: Ref | None = None) -> Item | None:
        """None where a shard was lost meanwhile, or all are empty."""
        del ready
        if self.in_flight:
            self.shards.hear()
        else:
            self.shards.settle()
        count(self.shards, counters)
        if not self.outstanding:
            self._ask(counters)
        if not self.outstanding:
            return None
        draw = self.outstanding.popleft()
        try:
            samples = self.shards.receive(draw)
        except ShardLost as lost:
            log.warning("%s: others are drawn", lost)
            self.outstanding.clear()
            return None
        while len(self.outstanding) < self.in_flight:
            self._ask(counters)
        info = {"samples": samples}
        return Item(Kind.SAMPLE, born=draw.born, version=counters.version, info=info)

    def _ask(self, counters: Counters) -> None:
        correction = self.correction(counters.env_steps) if self.correction else 0.0
        draw = self.shards.ask(self.minibatches, self.batch_size, correction)
        if draw is not None:
            self.outstanding.append(draw)


def prioritize_in_shards(shards: ReplayShards) -> Callable[[Item, Counters], list[Item]]:
    """Give shards the temporal differences that what they gave has now."""

    def update(item: Item, counters: Counters) -> list[Item]:
        for policy, sample in item.info["samples"].items():
            if policy in item.info["rows"]:
                shards.update_priorities(sample, item.info["rows"][policy])
        item.info["stats"]["replay/late_priorities"] = float(count(shards, counters))
        return [item]

    return update
