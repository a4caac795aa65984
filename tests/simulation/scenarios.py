"""The named scenarios, by the module that tells them."""

from __future__ import annotations

from tests.simulation import scenarios_of_accidents, scenarios_of_clusters, scenarios_of_users
from tests.simulation.scenario_kit import SCENARIOS, Scenario

__all__ = ["ACCIDENTS", "SCENARIOS", "USERS", "Scenario"]


def _of(*modules: object) -> tuple[str, ...]:
    paths = {module.__name__ for module in modules}  # type: ignore[attr-defined]
    return tuple(name for name, it in SCENARIOS.items() if it.script.__module__ in paths)


ACCIDENTS = _of(scenarios_of_accidents)
USERS = _of(scenarios_of_users, scenarios_of_clusters)
