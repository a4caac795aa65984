"""Several flows side by side, in a stated ratio of env steps to updates (never of items)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rl_platform.execution.counters import Counters
from rl_platform.execution.plan import Flow, Pace, Plan


def concurrently(*, output: str, pace: Pace, **flows: Flow) -> Plan:
    """Join flows into a plan; the driver sees what ``output`` gives."""
    return Plan(flows, output=output, pace=pace)


@dataclass(frozen=True, slots=True)
class EnvStepsPerUpdate:
    """Sample ``ratio`` env steps for each update, once ``after`` env steps are there (Acme's samples per
    insert).

    A deficit counter without a memory of its own: what is due follows from the counters, so it survives a
    restore.
    """

    ratio: float
    sample: str
    learn: str
    after: int = 0

    def due(self, flows: Mapping[str, Flow], counters: Counters) -> str:
        collected = counters.env_steps - self.after
        return self.learn if collected >= 0 and counters.updates * self.ratio < collected else self.sample

    def __str__(self) -> str:
        after = f", after {self.after} env steps" if self.after else ""
        return f"{self.ratio:g} env steps of {self.sample} per update of {self.learn}{after}"
