"""How the edges of a running plan do: what waits at them, how old it is, how much passes."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rl_platform.execution.plan import Plan

LATELY_SECONDS = 5.0
MARK_SECONDS = 0.5
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
    """Rates are over the last five seconds or so, at first since this was made, before the plan runs."""

    marks: deque[tuple[float, dict[str, int]]] = field(
        default_factory=lambda: deque([(time.monotonic(), {})])
    )  # monotonic seconds, items
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
        now, items = time.monotonic(), {name: edge.items for name, edge in plan.edges.items()}
        if now - self.marks[-1][0] >= MARK_SECONDS:
            self.marks.append((now, items))
        while len(self.marks) > 1 and now - self.marks[1][0] >= LATELY_SECONDS:
            self.marks.popleft()
        since, before = self.marks[0]
        depths, seconds = plan.depths(), max(now - since, 1e-9)
        return {
            name: EdgeFigure(depths[name], edge.age_seconds, (items[name] - before.get(name, 0)) / seconds)
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
