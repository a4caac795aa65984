"""The end of a plan's output: statistics become a result that the driver sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters, Every
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op
from rl_platform.execution.run import Run


@dataclass(slots=True)
class Accumulated:
    """Sums of statistics since the last result, and when the next is due."""

    every: Every | None
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """No item waits here: statistics are added up."""
        return 0

    def add(self, stats: dict[str, float]) -> None:
        for name, value in stats.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        means = {name: total / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        due_at = self.every.due_at if self.every else -1
        return {"sums": dict(self.sums), "counts": dict(self.counts), "due_at": due_at}, {}

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        del arrays
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
        if self.every:
            self.every.due_at = state["due_at"]


def report(run: Run, *, every: Every | None = None) -> Op:
    """A result with the mean statistics since the last one and the returns of the last 100 episodes.

    ``every``: so often; and as soon as the run has its env steps or updates, so that it ends there and not
    with the next result that is due.
    """
    state = Accumulated(every)

    def result(item: Item, counters: Counters) -> list[Item]:
        state.add(item.info["stats"])
        if every is not None and not every.due(counters) and not run.over(counters):
            return []
        metrics = {**state.take(), **run.episodes.metrics()}
        return [Item(Kind.RESULT, env_steps=item.env_steps, version=item.version, info={"metrics": metrics})]

    return Op(
        "report", frozenset({Kind.UPDATE}), Kind.RESULT, result, detail=str(every or "each"), state=state
    )
