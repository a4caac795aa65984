"""One run of a scenario with one fault, judged by the oracles and by the run without a fault."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from rl_operator.decide import SOON_SECONDS
from tests.simulation.feed import RELIST_SECONDS
from tests.simulation.oracles import at_rest, end_state
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.schedules import Counted, Fault, every
from tests.simulation.world import Violated, World

Json = dict[str, Any]
NEAR = 4  # writes: what the next process does first is to mend
MORE_WRITES, MORE_CALLS = 24, 120  # that a single fault may cost: conflicts back off up to 1000 s
# A cache that stays wrong until it lists again: a pass asks the server for what it does not see, and while it
# waits for its own last write to come back, a deaf driver is asked again and again.
STALE = {"old-snapshot", "event-lost"}
STALE_WRITES, STALE_CALLS = 5 * MORE_WRITES, MORE_CALLS + int(RELIST_SECONDS / SOON_SECONDS)
# A pass waits for its own last write to come back. Where that event is lost, a bookmark tells a minute later,
# and a driver lingers for half of that. No API server loses one; what counts is that nothing is done twice.
UNHEARD = {"ray-hangs", "server-down", "late-leader-slow", "clock-forward", "clock-back", "event-lost"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. ``violations``: empty when every oracle holds."""

    violations: tuple[str, ...]
    end: Any
    counts: Counter[Counted]
    made: Counter[tuple[str, str]]
    states: frozenset[str]
    trace: tuple[str, ...]
    passes: int


def play(scenario: Scenario, fault: Fault | None) -> Outcome:
    """The run itself, with the oracles that need no other run."""
    world = World(fault, options=scenario.options)
    try:
        world.run(scenario.script(world))
        at_rest(world)
        world.injector.violations += _ends(world, scenario)
    except AssertionError as error:
        world.injector.violations.append(f"AssertionError: {error}")
        world.injector.violations += _ends(world, scenario)
    except Violated:
        pass  # it says already what is wrong
    return Outcome(
        tuple(dict.fromkeys(world.injector.violations)),
        end_state(world),
        world.injector.counts,
        world.watcher.made,
        frozenset(world.watcher.states),
        tuple(world.injector.trace),
        world.passes,
    )


def _ends(world: World, scenario: Scenario) -> Iterator[str]:
    phase = world.status().get("phase")
    if scenario.ends is None:
        if world.model.store.of(world.model.resource("trainingjobs")):
            yield "the job is still there"
    elif (phase or "") != scenario.ends:
        yield f"ends as {phase}, not as {scenario.ends}"
    elif world.injector.fault is None and _counted(world) != (scenario.attempts, *scenario.failures):
        yield f"attempts and failures are {_counted(world)}, not {scenario.attempts}, {scenario.failures}"
    elif _heard(world) and scenario.reason and world.condition(scenario.condition)[1] != scenario.reason:
        yield f"{scenario.condition} is {world.condition(scenario.condition)}, not {scenario.reason}"


def _counted(world: World) -> tuple[int, int, int]:
    status = world.status()
    failures = status.get("failures") or {}
    return status.get("attempt", 0), failures.get("application", 0), failures.get("infrastructure", 0)


def _heard(world: World) -> bool:
    fault = world.injector.fault
    return fault is None or fault.kind not in UNHEARD


@cache
def reference(name: str) -> Outcome:
    """The run without a fault. Raises AssertionError where that is not in order itself."""
    outcome = play(SCENARIOS[name], None)
    assert not outcome.violations, explained(name, None, outcome)
    return outcome


def judged(name: str, fault: Fault) -> Outcome:
    """A run with a fault, with what differs from the one without among its violations."""
    outcome, ideal = play(SCENARIOS[name], fault), reference(name)
    said = list(outcome.violations)
    said += _differences(_told(name, ideal.end, fault), _told(name, outcome.end, fault))
    if fault.counted is not Counted.RUN and not fault.kind.startswith("clock"):
        said += _costs(ideal, outcome, fault)
    return Outcome(
        tuple(said), outcome.end, outcome.counts, outcome.made, outcome.states, outcome.trace, outcome.passes
    )


def _costs(ideal: Outcome, outcome: Outcome, fault: Fault) -> Iterator[str]:
    """What a single fault may cost; caches that lag all the time, and graces that get longer, cost more."""
    more = (STALE_WRITES, STALE_CALLS) if fault.kind in STALE else (MORE_WRITES, MORE_CALLS)
    writes = outcome.counts[Counted.WRITE] - ideal.counts[Counted.WRITE]
    if writes > more[0] * fault.number:
        yield f"{writes} writes more than without the fault"
    calls = outcome.counts[Counted.CALL] - ideal.counts[Counted.CALL]
    if calls > more[1] * fault.number:  # passes that only wait for a cache are cheap, and not counted
        yield f"{calls} calls more than without the fault"
    for thing, times in outcome.made.items():
        if times > ideal.made[thing] + fault.number:
            yield f"{thing} is made {times} times; {ideal.made[thing]} without the fault"


def _told(scenario: str, end: Json, fault: Fault) -> Json:
    """Without what a driver tells itself, where it may have ended while nobody could hear it."""
    lags = fault.counted is Counted.RUN
    heard = ("conditions", "model", "checkpoint") if fault.kind in UNHEARD else ()
    if lags or fault.kind == "event-lost" or SCENARIOS[scenario].races:
        heard += ("attempt",)  # what a user takes back may have been seen, or not
    if fault.kind == "event-lost":
        heard += ("failures", "driver")  # one that has drained and gone unheard counts as lost
    if fault.kind.startswith("clock"):
        heard += ("driver",)  # a deaf one is killed in a grace that gets longer, and taken away after it
    return {
        name: {
            part: {key: it for key, it in value.items() if key not in heard} if part == "status" else value
            for part, value in shown.items()
        }
        for name, shown in end.items()
        # A leader that was deposed may make a cluster anew for a job that has ended; it is deleted again.
        if not (name.startswith("last/") and "late-leader" in str(fault))
    }


def _differences(ideal: Any, seen: Any, path: str = "") -> Iterator[str]:
    if isinstance(ideal, dict) and isinstance(seen, dict):
        for key in sorted({*ideal, *seen}):
            yield from _differences(ideal.get(key), seen.get(key), f"{path}/{key}")
    elif ideal != seen:
        yield f"{path} is {seen}; without the fault {ideal}"


def explained(name: str, fault: Fault | None, outcome: Outcome, lines: int = 60) -> str:
    """For the report: what is wrong, how to see it again, and the end of the trace."""
    case = name if fault is None else f"{name}:{fault}"
    head = [
        f"{case} violates:" if outcome.violations else f"{case} is in order",
        *(f"  {each}" for each in outcome.violations),
    ]
    head.append(f"replay: .venv/bin/python -m tests.simulation.replay {case}")
    return "\n".join([*head, *outcome.trace[-lines:]])


def all_faults(name: str, kinds: tuple[str, ...]) -> list[Fault]:
    """Each kind at each place of the scenario."""
    return list(every(kinds, reference(name).counts))


def some_pairs(name: str, kinds: tuple[str, ...], number: int, seed: int) -> list[Fault]:
    """Two faults in one run, the second at a write within the next few or anywhere later."""
    chosen = random.Random(f"{seed}/{name}/pairs")
    last, pairs = reference(name).counts[Counted.WRITE], set()
    for _ in range(number if last else 0):
        first = chosen.randint(1, last)
        later = first + (chosen.randint(1, NEAR) if chosen.random() < 0.5 else chosen.randint(1, last))
        pairs.add(Fault(chosen.choice(kinds), first, Fault(chosen.choice(kinds), later)))
    return sorted(pairs, key=str)


def some_faults(name: str, kinds: tuple[str, ...], number: int, seed: int) -> list[Fault]:
    """So many of them, chosen by a seed that is the same from run to run."""
    faults = all_faults(name, kinds)
    chosen = random.Random(f"{seed}/{name}")
    return faults if len(faults) <= number else sorted(chosen.sample(faults, number), key=str)
