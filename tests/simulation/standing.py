"""Where a job stands once nothing changes any more, and where one stands that was made so from the beginning.

That the two are the same, whatever the way (O3 of the oracles): what a job is follows from its spec alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from rl_operator.names import ROLE_LABEL, ROLLOUTS
from rl_operator.runtime.resources import CONFIG_MAPS, PODS, RAY_CLUSTERS, TRAINING_JOBS
from tests.simulation.oracles import KINDS
from tests.simulation.world import World

Json = dict[str, Any]
SETTLING_SECONDS = 3600.0  # back-off, and a lost event that only the next list brings
QUIET_SECONDS = 90.0  # a bookmark's minute, and what is written of progress now and then
OF_THE_WAY = {
    "attempt",
    "failures",
    "observedGeneration",
    "specDigest",
    "startTime",
    "completionTime",
    "activeSeconds",
    "driver",
    "progress",
    "traceback",
}


def settle(world: World) -> str:
    """Goes on until the job is as its spec wants it, and gives its phase. Raises AssertionError."""
    if not world.go_on(world.clock + SETTLING_SECONDS, is_settled):
        raise AssertionError(f"does not settle, in phase {world.status().get('phase')}")
    world.go_on(world.clock + QUIET_SECONDS)
    assert is_settled(world), f"does not stay settled, in phase {world.status().get('phase')}"
    return str(world.status()["phase"])


def is_settled(world: World) -> bool:
    job, status = world.job(), world.status()
    if job is None:
        return True
    if status.get("phase") in ("Succeeded", "Failed"):
        return not world.pods()
    if job["metadata"]["generation"] != status.get("observedGeneration"):
        return False
    if job["spec"].get("runPolicy", {}).get("suspend"):
        return status.get("phase") == "Suspended"
    drivers = [it for it in world.ray.live_drivers() if it.job == job["metadata"]["uid"]]
    told = [(it.generation, it.target, it.replicas) for it in drivers]
    replicas = job["spec"]["rollouts"]["replicas"]
    wanted = (job["metadata"]["generation"], job["spec"]["stop"]["envSteps"], replicas)
    ready = world.condition("ClusterReady")[0] == "True" and world.condition("Training")[0] == "True"
    return told == [wanted] and len(world.pods(ROLLOUTS)) == replicas and ready


def _lasting(spec: Json | None) -> Json | None:
    """Without the names of pods that once had to go."""
    if spec is None or "workerGroupSpecs" not in spec:
        return spec
    groups = [
        {field: value for field, value in group.items() if field != "scaleStrategy"}
        for group in spec["workerGroupSpecs"]
    ]
    return spec | {"workerGroupSpecs": groups}


def standing(world: World) -> Json:
    """The job's objects and pods, and its status but for what tells of the way."""
    job = world.job()
    assert job is not None
    uid, phase = job["metadata"]["uid"], world.status()["phase"]
    running = phase == "Training"
    shown: Json = {"pods": dict(Counter(it["metadata"]["labels"][ROLE_LABEL] for it in world.pods()))}
    for resource in KINDS:
        for (_, name), stored in sorted(world.model.store.of(resource).items()):
            if resource in (PODS, TRAINING_JOBS) or (resource == CONFIG_MAPS and name.endswith("-logs")):
                continue
            if running or resource == RAY_CLUSTERS:  # what is left of a suspended one depends on when it was
                shown[f"{resource.plural}/{name}"] = _lasting(stored.document.get("spec"))
    shown["status"] = _status(world.status(), running)
    text = json.dumps(shown, sort_keys=True)
    settled: Json = json.loads(text.replace(uid, "UID").replace(uid[:8], "SHORT"))
    return settled


def _status(status: Json, running: bool) -> Json:
    kept = {key: it for key, it in status.items() if key not in OF_THE_WAY}
    conditions = {it["type"]: (it["status"], it["reason"]) for it in kept.pop("conditions")}
    if not running:  # it may have got as far as that, or not
        conditions = {
            key: it for key, it in conditions.items() if key not in ("CheckpointAvailable", "ModelRegistered")
        }
        kept = {"phase": kept["phase"]}
    kept["checkpoint"] = bool(kept.get("checkpoint"))
    return {**kept, "conditions": conditions}


@cache
def fresh(spec: str, start: Callable[[World, Json], None]) -> Json:
    """The standing of a job that is made with this spec, as JSON. ``start`` makes it."""
    world = World()
    start(world, json.loads(spec))
    settle(world)
    assert not world.injector.violations, world.injector.violations
    return standing(world)
