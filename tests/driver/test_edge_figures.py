"""Rates of a plan's edges, from the first report on."""

from __future__ import annotations

import time

from rl_platform.driver.edge_figures import EdgeFigures
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op
from rl_platform.execution.plan import Flow, Plan
from tests.execution.test_plan import Numbers


def plan() -> Plan:
    def end(item: Item, counters: Counters) -> list[Item]:
        return [Item(Kind.RESULT)]

    return Flow(Numbers()).then(Op("end", frozenset({Kind.ROLLOUT}), Kind.RESULT, end)).as_plan("p")


def test_the_first_rates_are_those_since_the_beginning() -> None:
    edges, running = EdgeFigures(), plan()
    began, items = time.monotonic(), iter(running)
    for _ in range(4):
        next(items)
    time.sleep(0.05)
    figures = edges.observe(running)
    passed = {name: figure.items_per_second * (time.monotonic() - began) for name, figure in figures.items()}
    assert all(3 <= count <= 6 for count in passed.values()), passed
