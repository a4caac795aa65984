"""One shard of the replay buffers, in a process of its own: what a Ray actor runs, without a need for Ray.

It turns trajectories into transitions where they are kept, and remembers which of them it gave, so that new
priorities are all that comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rl_platform.data.recipe import TransitionFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.workers.learned import interleaved
from rl_platform.workers.replay_buffer import Part, ReplayBuffer
from rl_platform.workers.replay_draws import SERIAL, SLOT, Draws, Share

MOST_DRAWN = 256
"""Samples whose transitions are remembered; priorities of older ones come too late."""


@dataclass(frozen=True)
class ShardBlueprint:
    """What every shard is made from."""

    policies: tuple[str, ...]
    capacity: int  # of one shard, in transitions of each policy
    seed: int
    draws: Callable[[int], Draws]  # of a buffer with this capacity
    nbytes: int  # of one shard that is full, as far as spaces tell


class Fill(NamedTuple):
    """How one buffer of a shard stands."""

    size: int = 0
    mass: float = 0.0  # see `Draws.mass`
    added: int = 0


class Answer(NamedTuple):
    """What a shard says to whatever changes it."""

    late: int  # priorities that came after their transitions were overwritten
    fills: dict[str, Fill]  # by policy


@dataclass(frozen=True, slots=True)
class Asked:
    """A sample of one policy, as each shard is asked for its part of it."""

    number: int
    share: Share


class ReplayShard:
    """One buffer for each policy."""

    def __init__(self, blueprint: ShardBlueprint) -> None:
        it = blueprint
        self.buffers = {
            policy: ReplayBuffer(it.capacity, it.seed, it.draws(it.capacity)) for policy in it.policies
        }
        self.kept: dict[int, TransitionFn] = {}
        self.drawn: dict[tuple[str, int], tuple[np.ndarray, Tree]] = {}

    def keep(self, key: int, transitions: TransitionFn) -> None:
        """Functions are sent once."""
        self.kept[key] = transitions

    def add(self, policies: Sequence[str], key: int, data: Mapping[str, Trajectory]) -> Answer:
        """Keep the transitions of these policies' trajectories."""
        for policy in policies:
            self.buffers[policy].add(self.kept[key](data[policy]))
        return self.answer()

    def draw(
        self, asked: Mapping[str, Asked], shape: tuple[int, int], correction: float
    ) -> tuple[int, dict[str, Part]]:
        """This shard's part of a sample for each policy, and how many transitions they are."""
        parts: dict[str, Part] = {}
        for policy, each in asked.items():
            where, columns = self.buffers[policy].part(each.number, shape, correction, each.share)
            if SLOT in columns:
                whose = {name: columns.pop(name) for name in (SLOT, SERIAL)}
                self.drawn[policy, each.number] = where, whose
            parts[policy] = where, columns
        while len(self.drawn) > MOST_DRAWN:
            del self.drawn[next(iter(self.drawn))]
        return sum(len(where) for where, _ in parts.values()), parts

    def update_priorities(self, policy: str, number: int, *parts: Tree) -> Answer:
        """What each rank has learned of a sample; of the new temporal differences [U, B] this shard takes
        those of its own transitions.
        """
        where, whose = self.drawn.pop((policy, number), (None, {}))
        if where is None:
            return self.answer()
        errors = interleaved(parts)["td_error"]
        return self.answer(self.buffers[policy].update_priorities(whose, errors.reshape(-1)[where]))

    def answer(self, late: int = 0) -> Answer:
        """How all buffers stand."""
        fills = {policy: Fill(it.size, it.mass, it.added) for policy, it in self.buffers.items()}
        return Answer(late, fills)

    def snapshot(self, policy: str) -> tuple[dict[str, Any], Tree]:
        """See `ReplayBuffer.snapshot`."""
        return self.buffers[policy].snapshot()

    def restore(self, saved: Mapping[str, tuple[dict[str, Any], Tree]]) -> Answer:
        """See `ReplayBuffer.restore`; by policy."""
        self.drawn.clear()
        for policy, (position, columns) in saved.items():
            self.buffers[policy].restore(position, columns)
        return self.answer()
