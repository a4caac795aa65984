"""What has to hold in every run, after every single write (`Watcher`) and in the end (`at_rest`).

Equal end states, counts of creations and the budget of writes need the run without a fault: `runs.judged`.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rl_operator.names import JOB_FILE, JOB_UID_LABEL
from rl_operator.runtime.resources import (
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    PODS,
    RAY_CLUSTERS,
    SECRETS,
    TRAINING_JOBS,
    Resource,
)
from tests.simulation.answers import encode
from tests.simulation.api_model import ApiModel
from tests.simulation.fake_ray import PASSWORD, FakeRay
from tests.simulation.injector import Injector
from tests.simulation.schedules import Counted
from tests.simulation.store import Change

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]
KINDS = (TRAINING_JOBS, RAY_CLUSTERS, PODS, CONFIG_MAPS, SECRETS, NETWORK_POLICIES, DISRUPTION_BUDGETS)
CONDITIONS = 7
RESYNCS = 3
SETTLE_SECONDS = 150.0


@dataclass
class Watcher:
    """Looks at every version that was stored since it looked last."""

    model: ApiModel
    ray: FakeRay
    injector: Injector
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: set[str] = field(default_factory=set)
    clusters: dict[str, Json] = field(default_factory=dict)  # the last spec of each, also of those gone
    seen: int = 0

    def look(self) -> None:
        for change in self.model.store.since(self.seen):
            self.seen = change.version
            if change.type == "ADDED" and change.resource != PODS:
                self.made[change.resource.plural, change.name[1]] += 1
            if change.resource == RAY_CLUSTERS:
                self.clusters[change.name[1]] = change.after.document["spec"]
            if change.resource == TRAINING_JOBS and change.before is not None:
                self._job(change)
        self.injector.violations += self.ray.faults
        self.ray.faults.clear()

    def _job(self, change: Change) -> None:
        assert change.before is not None
        before, after = change.before.document, change.after.document
        old, new = before.get("status") or {}, after.get("status") or {}
        if new is old or change.type == "DELETED":
            return
        said = [*_monotone(old, new), *_decided(old, new), *_budgets(after["spec"], new)]
        types = [it["type"] for it in new.get("conditions", ())]
        if new and (len(types) != CONDITIONS or len(set(types)) != CONDITIONS):
            said.append(f"conditions are not complete: {types}")
        if _condition(new, "Suspended") == "True" != _condition(old, "Suspended"):
            said += [f"is suspended, and has {it}" for it in self._held(change, RAY_CLUSTERS, PODS)]
        if _condition(old, "Succeeded") == "Unknown" != _condition(new, "Succeeded"):
            said += [f"is decided, and has {it}" for it in self._held(change, RAY_CLUSTERS)]
        self.injector.violations += [f"{change.name[1]}: {it}" for it in said]
        self.states.add(_state(new))

    def _held(self, change: Change, *resources: Resource) -> Iterator[str]:
        """What the job had when it said so: who sees that may count on what it has given back."""
        for resource in resources:
            for stored in self.model.store.at(resource, change.version).values():
                metadata = stored.document["metadata"]
                owners = {it["uid"] for it in metadata["ownerReferences"]}
                if change.after.document["metadata"]["uid"] in {
                    *owners,
                    metadata["labels"].get(JOB_UID_LABEL),
                }:
                    yield f"a {resource.kind}"


def _monotone(old: Json, new: Json) -> list[str]:
    said = []
    for name in ("observedGeneration", "attempt"):
        if new.get(name, 0) < old.get(name, 0):
            said.append(f"{name} falls from {old[name]} to {new.get(name)}")
    for name in ("application", "infrastructure"):
        was, now = (it.get("failures", {}).get(name, 0) for it in (old, new))
        if not was <= now <= was + 1:
            said.append(f"failures.{name} goes from {was} to {now}")
    if new.get("attempt", 0) > old.get("attempt", 0) + 1:
        said.append("an attempt is left out")
    saved = (old.get("checkpoint") or {}).get("envSteps", 0)
    if (new.get("checkpoint") or {}).get("envSteps", 0) < saved:
        said.append(f"the checkpoint of {saved} steps is forgotten")
    last = old.get("driver")
    if new.get("attempt") != old.get("attempt") and last and last["state"] != "Ended":
        said.append("an attempt begins before the last one has ended")
    steps = (new.get("progress") or {}).get("envSteps", 0)
    if steps < saved:
        said.append(f"progress of {steps} steps is behind the checkpoint of {saved}")
    return said


def _decided(old: Json, new: Json) -> list[str]:
    was, now = (_condition(it, "Succeeded") for it in (old, new))
    if was in ("True", "False") and now != was:
        return [f"a decided job goes from {was} to {now}"]
    if was in ("True", "False") and (old.get("attempt"), old.get("driver")) != (
        new.get("attempt"),
        new.get("driver"),
    ):
        return ["a decided job begins again"]
    if now in ("True", "False") and "completionTime" not in new:
        return ["a decided job has no completionTime"]
    return []


def _budgets(spec: Json, new: Json) -> list[str]:
    policy, failures = spec.get("runPolicy") or {}, new.get("failures") or {}
    said = []
    for name, limit in (("application", "backoffLimit"), ("infrastructure", "infrastructureRetries")):
        if failures.get(name, 0) > policy.get(limit, 0) + 1:
            said.append(f"{failures[name]} failures of kind {name}; {limit} is {policy.get(limit)}")
    return said


def _condition(status: Json, type_: str) -> str:
    return next((it["status"] for it in status.get("conditions", ()) if it["type"] == type_), "Unknown")


def _state(status: Json) -> str:
    driver = status.get("driver") or {}
    reasons = [f"{it['status'][0]}{it['reason']}" for it in status.get("conditions", ())]
    return "|".join(
        [str(status.get("phase")), str(driver.get("state")), str(driver.get("outcome")), *reasons]
    )


def end_state(world: World) -> Json:
    """What is left, and the clusters as they were last, without times and what follows from them."""
    state: Json = {f"last/{name}": {"spec": spec} for name, spec in world.watcher.clusters.items()}
    for resource in KINDS:
        for (_, name), stored in sorted(world.model.store.of(resource).items()):
            document = stored.document
            shown: Json = {"spec": document.get("spec")}
            if resource == TRAINING_JOBS:
                shown["status"] = _status(document.get("status") or {})
            if resource == CONFIG_MAPS and name.endswith("-logs"):
                continue  # which attempts have left a log depends on when they were stopped
            if resource == CONFIG_MAPS:
                shown = {}
            state[f"{resource.plural}/{name if resource != PODS else _pod_name(document)}"] = shown
    return state


def _pod_name(document: Json) -> str:
    return str(document["metadata"]["labels"].get("rlplatform.io/role"))


def _status(status: Json) -> Json:
    driver = status.get("driver") or {}
    checkpoint, model = status.get("checkpoint") or {}, status.get("model") or {}
    return {
        "phase": status.get("phase"),
        "observedGeneration": status.get("observedGeneration"),
        "attempt": status.get("attempt"),
        "failures": status.get("failures"),
        "driver": (driver.get("state"), driver.get("outcome")),
        "conditions": [(it["type"], it["status"], it["reason"]) for it in status.get("conditions", ())],
        "checkpoint": bool(checkpoint),
        "model": model.get("name"),
    }


def at_rest(world: World) -> None:
    """O2: no write over three resyncs. O4: no secret is told. O5: nothing is owned by what is gone."""
    if world.injector.fault is not None and world.injector.fault.kind == "event-lost" and world.process:
        world.process.resync()  # only a list shows what was lost, and what that changes may be written
    world.go_on(world.clock + SETTLE_SECONDS)
    writes = world.injector.counts[Counted.WRITE]
    version = world.model.store.version
    for _ in range(RESYNCS):
        if world.process is not None:
            world.process.resync()
        world.go_on(world.clock + 1.0)
    extra = world.injector.counts[Counted.WRITE] - writes
    if extra or world.model.store.version != version:
        world.injector.violations.append(f"{extra} writes while nothing changes")
    alive = {
        stored.document["metadata"].get("uid")
        for objects in world.model.store.objects.values()
        for stored in objects.values()
    }
    for resource in KINDS:
        for (_, name), stored in world.model.store.of(resource).items():
            for owner in stored.document["metadata"].get("ownerReferences", ()):
                if owner["uid"] not in alive:
                    world.injector.violations.append(f"{resource.kind} {name} outlives its owner")
    world.injector.violations += [*_secrets_told(world), *_conditions_of_the_past(world)]
    if any(True for _ in world.ray.live_drivers()):
        world.injector.violations.append("a driver still lives")


def _secrets_told(world: World) -> Iterator[str]:
    """In any object but the Secrets, as it is or was, or in an event; a spec is its author's own."""
    changes = world.model.store.since(0)
    secrets = [PASSWORD]
    for change in changes:
        if change.resource == SECRETS:
            secrets += [b64decode(it).decode() for it in change.after.document["data"].values()]
    told = [(it.resource.kind, _told(it)) for it in changes if it.resource != SECRETS]
    if world.process is not None:
        told += [("an event", " ".join(it)) for it in world.process.story.told]
    yield from {f"{kind} holds a secret" for kind, text in told if any(it in text for it in secrets)}


def _told(change: Change) -> str:
    document = change.after.document
    if change.resource == TRAINING_JOBS:
        return encode(document.get("status")).decode()
    if change.resource == CONFIG_MAPS:
        return encode({key: it for key, it in document["data"].items() if key != JOB_FILE}).decode()
    return change.after.text.decode()


def _conditions_of_the_past(world: World) -> Iterator[str]:
    """`kubectl wait` takes a condition for unknown whose generation is not the object's."""
    for (_, name), stored in world.model.store.of(TRAINING_JOBS).items():
        generation = stored.document["metadata"]["generation"]
        for it in (stored.document.get("status") or {}).get("conditions", ()):
            if it.get("observedGeneration") != generation:
                yield f"{it['type']} of {name} speaks of another spec"
