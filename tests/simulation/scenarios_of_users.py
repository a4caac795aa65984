"""Scenarios: a job that its user suspends, deletes and changes."""

from __future__ import annotations

from rl_operator.names import ROLLOUTS
from tests.simulation.fake_driver import Plan
from tests.simulation.scenario_kit import (
    SUCCEEDS,
    cluster,
    done,
    driver,
    gone,
    phase,
    pods,
    scenario,
    steps,
    training,
)
from tests.simulation.world import Script, World, after

ENDLESS = Plan(endless=frozenset({1}))  # the first attempt waits to be told

# Suspending


def _resumed(world: World) -> Script:
    yield phase("Suspended")
    world.suspend(False)
    yield done


@scenario("Suspended", "Suspended", "Suspended", attempts=0)
def suspended_from_the_start(world: World) -> Script:
    world.create(spec={"runPolicy": {"suspend": True}})
    yield phase("Suspended")


@scenario(*SUCCEEDS, attempts=2)
def suspended_while_provisioning(world: World) -> Script:
    world.create()
    yield cluster
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS, attempts=2, provisioning_deadline_seconds=900.0)
def suspended_for_long(world: World) -> Script:
    """The time for provisioning does not run meanwhile."""
    world.create()
    yield cluster
    world.suspend()
    yield phase("Suspended")
    yield after(world, 1800.0)
    world.suspend(False)
    yield done


@scenario(*SUCCEEDS, attempts=2)
def suspended_while_submitting(world: World) -> Script:
    world.ray.plans["job"] = ENDLESS
    world.create()
    yield driver("Submitted")
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS, attempts=2)
def suspended_while_training(world: World) -> Script:
    world.ray.plans["job"] = ENDLESS
    world.create()
    yield steps(3000)
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS, races=True, attempts=3, failures=(1, 0))
def suspended_while_retrying(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (1500, 1, "Diverged")})
    world.create()
    yield phase("Retrying")
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS)
def suspended_at_the_end(world: World) -> Script:
    """The driver ends as it is told to."""
    world.create()
    yield steps(5900)
    world.suspend()
    yield lambda it: done(it) or phase("Suspended")(it)
    if not done(world):
        world.suspend(False)
    yield done


@scenario(*SUCCEEDS)
def suspended_and_resumed_at_once(world: World) -> Script:
    world.create()
    yield steps(2000)
    world.suspend()
    world.suspend(False)
    yield done


@scenario(*SUCCEEDS, races=True, attempts=2)
def resumed_while_suspending(world: World) -> Script:
    """The driver may go on, or have drained: either is right."""
    world.create(spec={"stop": {"envSteps": 20_000}})
    yield steps(2000)
    world.suspend()
    yield phase("Suspending")
    world.suspend(False)
    yield done


@scenario(*SUCCEEDS, drain_grace_seconds=4.0, stop_grace_seconds=3.0, attempts=2)
def suspended_but_deaf(world: World) -> Script:
    world.ray.plans["job"] = Plan(ignores_drain=True, ignores_stop=True, endless=ENDLESS.endless)
    world.create()
    yield steps(3000)
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS, drain_grace_seconds=4.0, stop_grace_seconds=90.0, attempts=2)
def resumed_after_a_stop(world: World) -> Script:
    """What was ordered cannot be taken back, and is no failure of the job's."""
    world.ray.plans["job"] = Plan(ignores_drain=True, ignores_stop=True, endless=ENDLESS.endless)
    world.create(spec={"runPolicy": {"backoffLimit": 0}})
    yield steps(3000)
    world.suspend()
    stopped = lambda it: any(each.stopped_at is not None for each in it.ray.started)  # noqa: E731
    yield lambda it: stopped(it) or phase("Suspended")(it)
    world.suspend(False)
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
def head_lost_while_suspending(world: World) -> Script:
    world.ray.plans["job"] = ENDLESS
    world.create()
    yield steps(3000)
    world.suspend()
    world.fail_pod()
    yield from _resumed(world)


# Deleting


@scenario(None)
def deleted_at_once(world: World) -> Script:
    world.create()
    world.delete()
    yield gone


@scenario(None)
def deleted_while_provisioning(world: World) -> Script:
    world.create()
    yield cluster
    world.delete()
    yield gone


@scenario(None)
def deleted_while_training(world: World) -> Script:
    world.create()
    yield steps(2000)
    world.delete()
    yield gone


@scenario(None)
def deleted_while_suspending(world: World) -> Script:
    world.ray.plans["job"] = ENDLESS
    world.create()
    yield steps(2000)
    world.suspend()
    yield phase("Suspending")
    world.delete()
    yield gone


@scenario(None)
def deleted_when_finished(world: World) -> Script:
    world.create()
    yield done
    world.delete()
    yield gone


@scenario(*SUCCEEDS)
def recreated_under_the_same_name(world: World) -> Script:
    world.create()
    yield steps(2000)
    world.delete()
    world.create()
    yield done


# Changes of the spec


@scenario(*SUCCEEDS)
def more_replicas(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 12_000}})
    yield steps(2000)
    world.edit({"spec": {"rollouts": {"replicas": 4}}})
    yield pods(4)
    yield done


@scenario(*SUCCEEDS)
def fewer_replicas(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 12_000}})
    yield steps(2000)
    stays = max(it["metadata"]["name"] for it in world.pods(ROLLOUTS))
    world.edit({"spec": {"rollouts": {"replicas": 1}}})
    yield pods(1)
    assert [it["metadata"]["name"] for it in world.pods(ROLLOUTS)] == [stays]
    yield done


@scenario(*SUCCEEDS)
def stop_moved(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 900_000_000}})  # not in the time that a script waits
    yield steps(2000)
    world.edit({"spec": {"stop": {"envSteps": 8000}}})
    yield done


@scenario("Succeeded", "SpecDrift", "Degraded")
def drift(world: World) -> Script:
    """As if the server's comparison had let it pass."""
    world.create()
    yield training
    world.smuggle({"seed": 7})
    yield done


@scenario(*SUCCEEDS, attempts=2)
def drift_holds_what_is_new(world: World) -> Script:
    """As if an older schema had let it pass: the pods stay, and no cluster without them is made."""
    world.ray.plans["job"] = ENDLESS
    world.create()
    yield training
    world.smuggle({"rollouts": {"replicas": 0}})
    yield after(world, 30.0)
    assert len(world.pods(ROLLOUTS)) == 2
    world.suspend()
    yield phase("Suspended")
    world.suspend(False)
    yield after(world, 60.0)
    assert not cluster(world)
    world.smuggle({"rollouts": {"replicas": 2}})
    yield done
