"""What scenarios are made of: a registry, and what a script can wait for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rl_operator.names import ROLLOUTS
from rl_operator.runtime.resources import RAY_CLUSTERS
from tests.simulation.world import Script, Until, World

Json = dict[str, Any]
Start = Callable[[World], Script]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``ends``: phase of the job at the end, or what else is to hold; None: the job is gone.

    ``races``: its user acts at the moment at which an attempt begins or ends, so that its number depends on
    whether the operator was there to be first. ``attempts``, ``failures`` (of the application, of the
    infrastructure): what a run without a fault counts.
    """

    name: str
    script: Start
    ends: str | None
    reason: str = ""
    condition: str = "Succeeded"
    races: bool = False
    attempts: int = 1
    failures: tuple[int, int] = (0, 0)
    options: Json = field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    ends: str | None,
    reason: str = "",
    condition: str = "Succeeded",
    *,
    races: bool = False,
    attempts: int = 1,
    failures: tuple[int, int] = (0, 0),
    **options: Any,
) -> Callable[[Start], Start]:
    """``options``: settings of the operator."""

    def register(script: Start) -> Start:
        name = script.__name__
        SCENARIOS[name] = Scenario(name, script, ends, reason, condition, races, attempts, failures, options)
        return script

    return register


def done(world: World) -> bool:
    return world.condition("Succeeded")[0] in ("True", "False")


def gone(world: World) -> bool:
    return world.job() is None


def phase(*names: str) -> Until:
    return lambda world: world.status().get("phase") in names


def driver(state: str) -> Until:
    return lambda world: (world.status().get("driver") or {}).get("state") == state


def training(world: World) -> bool:
    return world.condition("Training")[0] == "True"


def steps(at_least: int) -> Until:
    """A driver has come so far, whether the operator knows or not."""

    def reached(world: World) -> bool:
        if world.steps() >= at_least:
            return True
        world.wake_in(0.5)
        return False

    return reached


def cluster(world: World) -> bool:
    return bool(world.model.store.of(RAY_CLUSTERS))


def pods(number: int, role: str = ROLLOUTS) -> Until:
    return lambda world: len(world.pods(role)) == number


SUCCEEDS = ("Succeeded", "EnvStepsReached")
