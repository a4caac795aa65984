"""Replay: transitions go into buffers with one operator and come out of them as a source of samples."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rl_platform.data.recipe import TransitionFn
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.parts import Op, State
from rl_platform.execution.plan import Flow
from rl_platform.execution.run import Run
from rl_platform.workers.fragment import fetched


def store_to_replay(run: Run, transitions: TransitionFn) -> Op:
    """Turn trajectories into transitions and keep them, one buffer per policy."""

    def store(item: Item, counters: Counters) -> list[Item]:
        del counters
        for trajectory in item.data:
            run.replay[trajectory.policy].add(transitions(fetched(trajectory)))
        return [item]

    detail = transitions.__qualname__.split(".")[0]
    return Op("store_to_replay", frozenset({Kind.ROLLOUT}), Kind.ROLLOUT, store, "replay", detail)


@dataclass
class Replay:
    """Draws ``minibatches`` of ``batch_size`` transitions at a time, for every trained policy."""

    run: Run
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

    def issue(self) -> None:
        """Sampling happens in `take`."""

    def waits(self) -> list[Ref]:
        return []

    def settle(self, counters: Counters) -> None:
        """Nothing is outstanding."""

    def take(self, counters: Counters, ready: Ref | None = None) -> Item:
        del ready
        run = self.run
        correction = self.correction(counters.env_steps) if self.correction else 0.0
        samples = {
            policy: run.replay[policy].sample(self.minibatches, self.batch_size, correction)
            for policy in run.trained
            if run.replay[policy].size
        }
        return Item(Kind.SAMPLE, born=time.monotonic(), version=counters.version, info={"samples": samples})


def replay(
    run: Run,
    *,
    batch_size: int,
    minibatches: int = 1,
    correction: Callable[[int], float] | None = None,
) -> Flow:
    """Samples from the replay buffers; when it is their turn is the pace's affair.

    ``correction``: env steps → exponent of importance weights, where transitions have priorities.
    """
    return Flow(Replay(run, batch_size, minibatches, correction))


def update_priorities(run: Run) -> Op:
    """Give what was learned from the temporal differences that it had then (``td_error`` of the loss)."""

    def update(item: Item, counters: Counters) -> list[Item]:
        late = sum(
            run.replay[policy].update_priorities(sample, item.info["rows"][policy]["td_error"])
            for policy, sample in item.info["samples"].items()
        )
        item.info["stats"]["replay/late_priorities"] = float(late)
        del counters
        return [item]

    return Op("update_priorities", frozenset({Kind.UPDATE}), Kind.UPDATE, update, "replay")
