"""Replay: transitions go into buffers with one operator and come out of them as a source of samples. Where
the buffers are in other processes, `rl_platform.execution.remote_replay` does the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rl_platform.data.recipe import TransitionFn
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.parts import Op, State
from rl_platform.execution.plan import Flow
from rl_platform.execution.remote_replay import RemoteReplay, prioritize_in_shards, store_in_shards
from rl_platform.execution.run import Run
from rl_platform.workers.fragment import fetched
from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_shards import ReplayShards


def store_to_replay(run: Run, transitions: TransitionFn) -> Op:
    """Turn trajectories into transitions and keep them, one buffer per policy."""
    detail = transitions.__qualname__.split(".")[0]
    if isinstance(run.replay, ReplayShards):
        store = store_in_shards(run.replay, transitions)
    else:
        store = _store_here(run.replay, transitions)
    return Op("store_to_replay", frozenset({Kind.ROLLOUT}), Kind.ROLLOUT, store, "replay", detail)


def _store_here(
    buffers: dict[str, ReplayBuffer], transitions: TransitionFn
) -> Callable[[Item, Counters], list[Item]]:
    def store(item: Item, counters: Counters) -> list[Item]:
        for trajectory in item.data:
            buffer = buffers[trajectory.policy]
            size, added = buffer.size, buffer.added
            buffer.add(transitions(fetched(trajectory)))
            counters.stored += buffer.added - added
            counters.overwritten += buffer.added - added - (buffer.size - size)
        return [item]

    return store


@dataclass
class Replay:
    """Draws ``minibatches`` of ``batch_size`` transitions at a time, for every trained policy."""

    run: Run
    buffers: dict[str, ReplayBuffer]
    batch_size: int
    minibatches: int
    correction: Callable[[int], float] | None
    name: str = "replay"
    gives: Kind = Kind.SAMPLE
    site: str = "replay"
    state: State | None = None

    @property
    def detail(self) -> str:
        return f"{self.minibatches} minibatches of {self.batch_size}"

    @property
    def depth(self) -> int:
        return 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(buffer.size for buffer in self.buffers.values())

    def issue(self) -> None:
        """Sampling happens in `take`."""

    def waits(self) -> list[Ref]:
        return []

    def settle(self, counters: Counters) -> None:
        """Nothing is outstanding."""

    def take(self, counters: Counters, ready: Ref | None = None) -> Item:
        del ready
        correction = self.correction(counters.env_steps) if self.correction else 0.0
        samples = {
            policy: self.buffers[policy].sample(self.minibatches, self.batch_size, correction)
            for policy in self.run.trained
            if self.buffers[policy].size
        }
        return Item(Kind.SAMPLE, born=time.monotonic(), version=counters.version, info={"samples": samples})


def replay(
    run: Run,
    *,
    batch_size: int,
    minibatches: int = 1,
    correction: Callable[[int], float] | None = None,
    in_flight: int = 0,
) -> Flow:
    """Samples from the replay buffers; when it is their turn is the pace's affair.

    ``correction``: env steps → exponent of importance weights, where transitions have priorities.
    ``in_flight``: samples that are drawn ahead, where buffers are in other processes.
    """
    buffers = run.replay
    if isinstance(buffers, ReplayShards):
        return Flow(RemoteReplay(run, buffers, batch_size, minibatches, correction, in_flight))
    return Flow(Replay(run, buffers, batch_size, minibatches, correction))


def update_priorities(run: Run) -> Op:
    """Give what was learned from the temporal differences that it had then (``td_error`` of the loss)."""
    replay = run.replay
    update = prioritize_in_shards(replay) if isinstance(replay, ReplayShards) else _prioritize_here(replay)
    return Op("update_priorities", frozenset({Kind.UPDATE}), Kind.UPDATE, update, "replay")


def _prioritize_here(buffers: dict[str, ReplayBuffer]) -> Callable[[Item, Counters], list[Item]]:
    def update(item: Item, counters: Counters) -> list[Item]:
        late = sum(
            buffers[policy].update_priorities(sample, item.info["rows"][policy]["td_error"])
            for policy, sample in item.info["samples"].items()
        )
        item.info["stats"]["replay/late_priorities"] = float(late)
        del counters
        return [item]

    return update
