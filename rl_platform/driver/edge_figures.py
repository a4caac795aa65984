"""How the edges of a running plan do: what waits at them, how old it is, how much passes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rl_platform.execution.plan import Plan

LATELY_SECONDS = 5.0
NOTED_SECONDS = 1.0
"""They are more numbers than all else in a report, and reports may come a hundred times a second."""


@dataclass(frozen=True, slots=True)
class EdgeFigure:
    """Of one source or operator."""

    depth: int  # items that wait
    age_seconds: float  # of the last item that passed, since it was asked for
    items_per_second: float  # lately


@dataclass(slots=True)
class EdgeFigures:
    """Rates are over the last five seconds or so."""

    before: dict[str, int] = field(default_factory=dict)  # items, at ``since``
    rates: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    noted_at: float = -math.inf  # monotonic seconds

    @property
    def due(self) -> bool:
        """Whether they are to be in the progress log again: once a second."""
        return time.monotonic() - self.noted_at >= NOTED_SECONDS

    def noted(self) -> None:
        """They are in the log now."""
        self.noted_at = time.monotonic()

    def observe(self, plan: Plan) -> dict[str, EdgeFigure]:
        """By the name of the source or operator."""
        now = time.monotonic()
        if now - self.since >= LATELY_SECONDS or not self.rates:
            seconds = max(now - self.since, 1e-9)
            self.rates = {
                name: (edge.items - self.before.get(name, 0)) / seconds for name, edge in plan.edges.items()
            }
            self.before, self.since = {name: edge.items for name, edge in plan.edges.items()}, now
        depths = plan.depths()
        return {
            name: EdgeFigure(depths[name], edge.age_seconds, self.rates.get(name, 0.0))
            for name, edge in plan.edges.items()
        }

    @staticmethod
    def metrics(figures: dict[str, EdgeFigure]) -> dict[str, float]:
        """``edge/<name>/depth``, ``/age`` and ``/rate``."""
        metrics: dict[str, float] = {}
        for name, figure in figures.items():
            metrics[f"edge/{name}/depth"] = float(figure.depth)
            metrics[f"edge/{name}/age"] = figure.age_seconds
            metrics[f"edge/{name}/rate"] = figure.items_per_second
        return metrics


def edges_in(metrics: Mapping[str, float]) -> dict[str, EdgeFigure]:
    """The inverse of `EdgeFigures.metrics`, among other metrics."""
    names = [
        key[len("edge/") : -len("/depth")]
        for key in metrics
        if key.startswith("edge/") and key.endswith("/depth")
    ]
    return {
        name: EdgeFigure(
            round(metrics[f"edge/{name}/depth"]), metrics[f"edge/{name}/age"], metrics[f"edge/{name}/rate"]
        )
        for name in names
    }
