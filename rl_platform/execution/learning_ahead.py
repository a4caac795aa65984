"""Samples go to the learner as soon as they are there, and what it makes of them comes back as a source.

A learner in another process then never waits for this one: while it is at one sample, others lie before it.
In one process a sample is learned from when its update is taken, so everything happens in one order.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.parts import Op, State
from rl_platform.execution.plan import Flow
from rl_platform.execution.run import Run
from rl_platform.models.policy import Knobs
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.learned import Learned, RemoteRows
from rl_platform.workers.learner import Learner
from rl_platform.workers.losses import DataLost, LearnerLost
from rl_platform.workers.objective import Objective, TargetColumns
from rl_platform.workers.remote_learner import RemoteLearner
from rl_platform.workers.remote_sample import RemoteSample, fetched

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pending:
    """A sample that the learner has, or will have when its turn comes."""

    item: Item
    updates: int  # that it is for
    scheduled: dict[str, float]
    learn: dict[str, Callable[[], Learned]]  # by policy
    ref: Ref | None = None  # of what is awaited, where the learner is elsewhere


@dataclass(slots=True)
class Queue:
    """What was submitted, and what has come of it and was not taken yet."""

    depth: int  # samples before the learner, at most
    pending: deque[Pending] = field(default_factory=deque)
    done: deque[Item] = field(default_factory=deque)

    @property
    def room(self) -> bool:
        return len(self.pending) < self.depth

    @property
    def updates(self) -> int:
        """That are on their way."""
        return sum(each.updates for each in self.pending)


def queue(run: Run, *, depth: int) -> Queue:
    """Up to ``depth`` samples before a learner and beside workers in other processes; one otherwise."""
    return Queue(depth if _apart(run) else 1)


def _apart(run: Run) -> bool:
    return isinstance(run.learner, RemoteLearner) and isinstance(run.workers, WorkerGroup)


def submit(run: Run, ahead: Queue, objective: Objective, target_columns: TargetColumns | None = None) -> Op:
    """Give each sample to the learner, which makes one update of each of its minibatches."""

    def give(item: Item, counters: Counters) -> list[Item]:
        scheduled = run.schedule(counters.env_steps)
        pending = Pending(item, 0, scheduled, {})
        for policy, sample in item.info["samples"].items():
            knobs = {**run.published[policy].knobs, **scheduled}
            what = (policy, sample, objective, knobs, target_columns)
            if isinstance(run.learner, RemoteLearner):
                asked = run.learner.ask_on_samples(*what)
                pending.ref = pending.ref or asked.told[0]
                pending.learn[policy] = partial(run.learner.learned, asked)
            else:
                pending.learn[policy] = partial(_learn_here, run.learner, *what)
            shape = sample.shape if isinstance(sample, RemoteSample) else next(iter(sample.values())).shape
            pending.updates = max(pending.updates, shape[0])
        ahead.pending.append(pending)
        return []

    detail = f"{ahead.depth} ahead"
    return Op("submit", frozenset({Kind.SAMPLE}), Kind.UPDATE, give, "learner", detail)


def _learn_here(
    learner: Learner,
    policy: str,
    sample: Tree | RemoteSample,
    objective: Objective,
    knobs: Knobs,
    target_columns: TargetColumns | None,
) -> Learned:
    return learner.update_on_samples(policy, fetched(sample), objective, knobs, target_columns)


@dataclass
class Updates:
    """What the learner has made of samples, in the order in which it got them."""

    run: Run
    queue: Queue
    name: str = "updates"
    gives: Kind = Kind.UPDATE
    site: str = "learner"
    detail: str = ""
    state: State | None = None

    @property
    def depth(self) -> int:
        """Samples that the learner has not answered."""
        return len(self.queue.pending) + len(self.queue.done)

    @property
    def empty(self) -> bool:
        return not self.depth

    def issue(self) -> None:
        """The operator `submit` does."""

    def waits(self) -> list[Ref]:
        """Nothing where it can go on at once, and where nothing else goes on meanwhile."""
        if self.queue.done or not self.queue.pending or not _apart(self.run):
            return []
        return [self.queue.pending[0].ref]

    def take(self, counters: Counters, ready: Ref | None = None) -> Item | None:
        """None where the sample was lost on its way. Raises LearnerLost."""
        del ready
        if self.queue.done:
            return self.queue.done.popleft()
        return self._learned(self.queue.pending.popleft(), counters) if self.queue.pending else None

    def settle(self, counters: Counters) -> None:
        """Updates that are on their way are awaited and counted; with a lost learner they are lost."""
        while self.queue.pending:
            try:
                item = self._learned(self.queue.pending.popleft(), counters)
            except LearnerLost as lost:
                log.info("%s: %d samples were before it", lost, len(self.queue.pending))
                self.queue.pending.clear()
                self.queue.done.clear()
                return
            if item is not None:
                self.queue.done.append(item)

    def _learned(self, pending: Pending, counters: Counters) -> Item | None:
        stats: dict[str, float] = {}
        rows: dict[str, Tree | RemoteRows] = {}
        steps = 0
        for policy, learn in pending.learn.items():
            try:
                learned = learn()
            except DataLost as lost:  # the transitions are in replay still, or counted with their shard
                log.warning("a sample of policy %s is lost on its way to the learner: %s", policy, lost)
                continue
            steps, rows[policy] = max(steps, learned.steps), learned.rows
            stats |= {f"train/{policy}/{name}": value for name, value in learned.stats.items()}
        if not rows:
            return None
        counters.updates += steps
        stats |= {f"schedule/{name}": value for name, value in pending.scheduled.items()}
        item = pending.item
        info = {**item.info, "stats": stats, "rows": rows}
        return Item(Kind.UPDATE, version=item.version, born=item.born or time.monotonic(), info=info)


def updates(run: Run, ahead: Queue) -> Flow:
    """What comes of samples that `submit` gave to the learner."""
    return Flow(Updates(run, ahead))
