"""Several flows side by side, in a stated ratio of env steps to updates (never of items)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rl_platform.execution.counters import Counters
from rl_platform.execution.learning_ahead import Queue
from rl_platform.execution.plan import Flow, Pace, Plan


def concurrently(*, output: str, pace: Pace, **flows: Flow) -> Plan:
    """Join flows into a plan; the driver sees what ``output`` gives."""
    return Plan(flows, output=output, pace=pace)


@dataclass(frozen=True, slots=True)
class EnvStepsPerUpdate:
    """Sample ``ratio`` env steps for each update, once ``after`` env steps are there (Acme's samples per
    insert).

    A deficit counter without a memory of its own: what is due follows from the counters, so it survives a
    restore. While there is nothing to learn from, sampling goes on.

    Where ``feed`` submits samples to ``ahead``, updates that are on their way count like those that are
    there, and whatever comes first is taken while enough are on their way.
    """

    ratio: float
    sample: str
    learn: str
    after: int = 0
    feed: str = ""
    ahead: Queue | None = None

    def due(self, flows: Mapping[str, Flow], counters: Counters) -> tuple[str, ...]:
        collected = counters.env_steps - self.after
        planned = counters.updates + (self.ahead.updates if self.ahead else 0)
        wanted = collected >= 0 and planned * self.ratio < collected
        if self.ahead is None:
            return (self.learn if wanted and not flows[self.learn].source.empty else self.sample,)
        if wanted and self.ahead.room and not flows[self.feed].source.empty:
            return (self.feed,)
        if flows[self.learn].source.empty:
            return (self.sample,)
        return (self.learn,) if wanted else (self.learn, self.sample)

    def __str__(self) -> str:
        after = f", after {self.after} env steps" if self.after else ""
        return f"{self.ratio:g} env steps of {self.sample} per update of {self.learn}{after}"
