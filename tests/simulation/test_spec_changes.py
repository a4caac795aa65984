"""A user, and accidents, in any order: what comes of a job follows from its last spec alone.

`hypothesis` looks for an order that breaks an oracle; with RLP_FAULT_RUNS for longer, and for the shortest.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rl_operator.names import HEAD
from tests.simulation.oracles import at_rest
from tests.simulation.schedules import CRASHES, Counted, Fault
from tests.simulation.standing import fresh, settle, standing
from tests.simulation.world import Violated, World

Json = dict[str, Any]
FEW = 20
EXAMPLES = max(FEW, int(os.environ.get("RLP_FAULT_RUNS", "0")))
ENDLESS, SOON = 1_000_000_000, 20_000
PAUSES = st.sampled_from([0.0, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 40.0, 200.0])
ACCIDENTS: list[Callable[[World], None]] = [
    World.fail_pod,
    World.remove_pod,
    lambda world: world.remove_pod(grace=None),
    World.lose_worker,
    World.delete_cluster,
]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def start(world: World, spec: Json) -> None:
    world.create(spec=spec)


def exists(machine: SpecChanges) -> bool:
    return machine.world.job() is not None


def is_gone(machine: SpecChanges) -> bool:
    return machine.world.job() is None


class SpecChanges(RuleBasedStateMachine):
    """One job at a time, under one name; retries of infrastructure never run out."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.world = World()

    def _do(self, act: Callable[[], object]) -> None:
        """With the violations as an assertion, which is what hypothesis makes smaller."""
        with contextlib.suppress(Violated):
            act()
        assert not self.world.injector.violations, "\n".join(
            [*self.world.injector.violations, *self.world.injector.trace[-40:]]
        )

    def _pass(self, seconds: float) -> None:
        self._do(lambda: self.world.go_on(self.world.clock + seconds))

    def _edit(self, spec: Json) -> None:
        self.world.edit({"spec": spec})

    @initialize(replicas=st.integers(1, 3), suspended=st.booleans())
    def begin(self, replicas: int, suspended: bool) -> None:
        self.create(replicas, suspended)

    @precondition(is_gone)
    @rule(replicas=st.integers(1, 3), suspended=st.booleans())
    def create(self, replicas: int, suspended: bool) -> None:
        policy = {"suspend": suspended, "infrastructureRetries": 1000}
        start(
            self.world,
            {"rollouts": {"replicas": replicas}, "stop": {"envSteps": ENDLESS}, "runPolicy": policy},
        )

    @precondition(exists)
    @rule(wanted=st.booleans(), seconds=PAUSES)
    def suspend_or_resume(self, wanted: bool, seconds: float) -> None:
        self._edit({"runPolicy": {"suspend": wanted}})
        self._pass(seconds)

    @precondition(exists)
    @rule(replicas=st.integers(1, 4), seconds=PAUSES)
    def change_replicas(self, replicas: int, seconds: float) -> None:
        self._edit({"rollouts": {"replicas": replicas}})
        self._pass(seconds)

    @precondition(exists)
    @rule(steps=st.sampled_from([ENDLESS, 2 * ENDLESS, 3 * ENDLESS, SOON]), seconds=PAUSES)
    def move_stop(self, steps: int, seconds: float) -> None:
        self._edit({"stop": {"envSteps": steps}})
        self._pass(seconds)

    @precondition(exists)
    @rule(really=st.sampled_from([False, False, True]))
    def delete(self, really: bool) -> None:
        if really:
            self.world.delete()

    @rule(seconds=PAUSES)
    def wait(self, seconds: float) -> None:
        self._pass(seconds)

    @precondition(lambda machine: machine.world.pods(HEAD))
    @rule(accident=st.sampled_from(ACCIDENTS), seconds=PAUSES)
    def suffer(self, accident: Callable[[World], None], seconds: float) -> None:
        accident(self.world)
        self._pass(seconds)

    @rule(kind=st.sampled_from([*CRASHES, "late-leader-1", "late-leader-3"]), later=st.integers(1, 12))
    def go_wrong(self, kind: str, later: int) -> None:
        """At one of the next writes."""
        self.world.injector.coming = Fault(kind, self.world.injector.counts[Counted.WRITE] + later)

    @precondition(exists)
    @rule()
    def stand(self) -> None:
        """However it came here, it stands like one that began with this spec."""
        self._do(self._stand)

    def _stand(self) -> None:
        phase = settle(self.world)
        job = self.world.job()
        assert job is not None
        if phase in ("Succeeded", "Failed"):
            assert phase == "Succeeded", self.world.status()
            return
        ideal = fresh(json.dumps(job["spec"], sort_keys=True), start)
        assert standing(self.world) == ideal

    def teardown(self) -> None:
        try:
            self._do(self._end)
        finally:
            logging.disable(logging.NOTSET)

    def _end(self) -> None:
        self.world.injector.coming = None
        if self.world.job() is not None:
            self._stand()
            self._edit({"runPolicy": {"suspend": False}, "stop": {"envSteps": 1}})
            assert settle(self.world) == "Succeeded"
        at_rest(self.world)


SpecChanges.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    derandomize=EXAMPLES == FEW,
    # A shorter order is looked for only where there is the night for it.
    phases=(Phase.reuse, Phase.generate) if EXAMPLES == FEW else tuple(Phase),
    suppress_health_check=list(HealthCheck),
)
TestSpecChanges = SpecChanges.TestCase
