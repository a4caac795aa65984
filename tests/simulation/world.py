"""Everything around one simulated operator: API model, KubeRay, heads, users, and one virtual clock."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml

from rl_operator.names import HEAD, ROLE_LABEL, ROLLOUTS
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS, TRAINING_JOBS
from rl_platform.spec.mutability import immutable_fields
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD
from tests.simulation import patches
from tests.simulation.answers import Cause
from tests.simulation.api_model import EPOCH, ApiModel
from tests.simulation.collector import Collector
from tests.simulation.fake_kuberay import FakeKubeRay
from tests.simulation.fake_ray import FakeRay
from tests.simulation.injector import Injector, LateCalls, OperatorDied
from tests.simulation.model_kinds import Kind, custom_kind
from tests.simulation.operator_process import OperatorProcess, settings
from tests.simulation.oracles import Watcher
from tests.simulation.schedules import Fault

Json = dict[str, Any]
Until = Callable[["World"], bool]
Script = Generator[Until, None, None]
CRD_FILE = Path(__file__).parents[2] / "helm" / "rl-platform" / "files" / "trainingjobs.rlplatform.io.yaml"
NAMESPACE = "lab"
RESTART_SECONDS = 1.0
PATIENCE_SECONDS = 4 * 3600.0
ROUNDS_AT_ONCE = 60
MOST_PASSES = 2000  # of one run; without a fault none needs a hundred
REPLICAS = ("rollouts", "replicas")

SPEC: Json = {
    "environment": {"id": "CartPole-v1"},
    "algorithm": {"ppo": {}},
    "rollouts": {"replicas": 2},
    "stop": {"envSteps": 6000},
}


@cache
def job_kind() -> Kind:
    definition = yaml.load(CRD_FILE.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return custom_kind(TRAINING_JOBS, definition, immutable)


@cache
def cluster_kind() -> Kind:
    return custom_kind(RAY_CLUSTERS, FREE_RAY_CLUSTER_CRD)


@cache
def _fixed() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split(".")) for path, _ in immutable_fields())


def immutable(new: Json, old: Json | None) -> list[Cause]:
    """The transition rules of the CustomResourceDefinition."""
    if old is None or new["spec"] is old["spec"]:
        return []
    changed = [path for path in _fixed() if _at(new["spec"], path) != _at(old["spec"], path)]
    if bool(_at(new["spec"], REPLICAS)) != bool(_at(old["spec"], REPLICAS)):
        changed.append(REPLICAS)
    return [Cause("FieldValueInvalid", ".".join(("spec", *path)), "cannot be changed") for path in changed]


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return document


class Violated(BaseException):
    """An oracle does not hold, so that nothing after it counts; no operator may catch it."""


class World:
    """`run` plays a script: it goes on whenever what it yields holds."""

    def __init__(self, fault: Fault | None = None, *, options: Json | None = None) -> None:
        self.clock = EPOCH
        self.skew = 0.0
        self.model = ApiModel([job_kind(), cluster_kind()], now=lambda: self.clock)
        self.model.namespaces.add(NAMESPACE)
        self.ray = FakeRay(self.model)
        self.kuberay = FakeKubeRay(self.model, ending=self.ray.may_end)
        self.collector = Collector(self.model)
        self.injector = Injector(lambda: self.clock, self._depose, self._shift, fault)
        self.watcher = Watcher(self.model, self.ray, self.injector)
        self.options = settings(**(options or {}))
        self.passes = 0
        self.restarts = 0
        self._script: Script | None = None
        self.waits_for: Until | None = None
        self._wake_at: float | None = None
        self._restart_at: float | None = None
        self.process: OperatorProcess | None = self._new_process()

    # The user's side

    def create(self, name: str = "job", spec: Json | None = None, labels: Json | None = None) -> None:
        body = {
            "apiVersion": TRAINING_JOBS.api_version,
            "kind": TRAINING_JOBS.kind,
            "metadata": {"name": name, **({"labels": labels} if labels else {})},
            "spec": patches.merge(SPEC, spec or {}),
        }
        self.model.user("POST", TRAINING_JOBS.path(NAMESPACE), body)

    def edit(self, patch: Json, name: str = "job") -> None:
        self.model.user("PATCH", TRAINING_JOBS.path(NAMESPACE, name), patch)

    def smuggle(self, changes: Json, name: str = "job") -> None:
        """A change of the spec that no rule of the server has stopped."""
        document = self.job(name)
        assert document is not None
        metadata = {**document["metadata"], "generation": document["metadata"]["generation"] + 1}
        changed = {**document, "metadata": metadata, "spec": patches.merge(document["spec"], changes)}
        self.model.store.put(TRAINING_JOBS, (NAMESPACE, name), changed)

    def suspend(self, wanted: bool = True) -> None:
        self.edit({"spec": {"runPolicy": {"suspend": wanted}}})

    def delete(self, name: str = "job") -> None:
        self.model.user("DELETE", TRAINING_JOBS.path(NAMESPACE, name))

    def delete_cluster(self) -> None:
        for _, name in list(self.model.store.of(RAY_CLUSTERS)):
            self.model.user("DELETE", RAY_CLUSTERS.path(NAMESPACE, name))

    def upgrade(self, builder: str) -> None:
        """The process is replaced by one whose clusters are of another version."""
        self.options = self.options.model_copy(update={"image": f"rl-platform/training:{builder}"})
        self.process = self._new_process()

    # What can be seen

    def job(self, name: str = "job") -> Json | None:
        stored = self.model.store.get(TRAINING_JOBS, (NAMESPACE, name))
        return stored.document if stored is not None else None

    def status(self, name: str = "job") -> Json:
        return (self.job(name) or {}).get("status") or {}

    def condition(self, type_: str, name: str = "job") -> tuple[str, str]:
        for each in self.status(name).get("conditions", ()):
            if each["type"] == type_:
                return each["status"], each["reason"]
        return "", ""

    def pods(self, role: str = "") -> list[Json]:
        every = [stored.document for stored in self.model.store.of(PODS).values()]
        return [it for it in every if not role or it["metadata"]["labels"].get(ROLE_LABEL) == role]

    def steps(self) -> int:
        return max((driver.steps(self.clock) for driver in self.ray.live_drivers()), default=-1)

    # Accidents

    def fail_pod(self, role: str = HEAD) -> None:
        """As an eviction, or a node that takes its pods' processes along."""
        for pod in self.pods(role)[:1]:
            self.kuberay.set_status((NAMESPACE, pod["metadata"]["name"]), phase="Failed")
            self.ray.advance()

    def remove_pod(self, role: str = HEAD, grace: int | None = 0) -> None:
        """``grace`` None: its own, in which the driver drains."""
        for pod in self.pods(role)[:1]:
            self.kuberay.delete_pod(pod, grace)
        self.ray.advance()

    def lose_worker(self) -> None:
        self.fail_pod(ROLLOUTS)

    # Time

    def run(self, script: Script) -> None:
        """Raises AssertionError where something that has to happen does not, and Violated."""
        self._script, self.waits_for = script, next(script, None)
        while self.waits_for is not None:
            waited = self.waits_for
            if not self.go_on(self.clock + PATIENCE_SECONDS, partial(_has_gone_on, waited)):
                raise AssertionError(f"stuck in phase {self.status().get('phase')}")

    def _follow_script(self) -> None:
        """The user goes on whenever what was waited for holds, also while a leader is deposed."""
        while self._script is not None and self.waits_for is not None and self.waits_for(self):
            self.waits_for = next(self._script, None)

    def go_on(self, limit: float, until: Until | None = None) -> bool:
        """Until it holds, or the clock says ``limit``."""
        while True:
            self._settle()
            if until is not None and until(self):
                return True
            dues = [self.kuberay.due(), self.collector.due(), self._restart_at, self._wake_at]
            if self.process is not None:
                dues.append(self.process.due())
            coming = [due for due in dues if due is not None and due > self.clock]
            following = min(coming, default=limit)
            if following >= limit:
                self.clock = max(self.clock, limit)
                self._settle()
                return until is not None and until(self)
            self.clock = following

    def wake_in(self, seconds: float) -> None:
        self._wake_at = self.clock + seconds

    def _settle(self) -> None:
        """All that is due at this time, in rounds until nothing is."""
        for _ in range(ROUNDS_AT_ONCE):
            version, passes = self.model.store.version, self.passes
            if self._wake_at is not None and self._wake_at <= self.clock:
                self._wake_at = None
            self.kuberay.step()
            self.collector.step()
            self.ray.advance()
            self._step_operator()
            self.watcher.look()
            if self.injector.violations:
                raise Violated
            if self.passes > MOST_PASSES:
                raise AssertionError(f"more than {MOST_PASSES} passes: it goes round in circles")
            self._follow_script()
            if (version, passes) == (self.model.store.version, self.passes):
                return
        raise AssertionError("does not come to rest at one time")

    def _step_operator(self) -> None:
        if self._restart_at is not None and self._restart_at <= self.clock:
            self._restart_at = None
            self.process = self._new_process()
        process = self.process
        if process is None or process.seam.busy:
            return
        before = process.passes
        process.seam.busy = True
        try:
            process.step()
        except OperatorDied:
            self.injector.note(process.number, "died")
            if self.process is process:
                self.process = None
                self._restart_at = self.clock + RESTART_SECONDS
        finally:
            process.seam.busy = False
            self.passes += process.passes - before

    def _new_process(self) -> OperatorProcess:
        snapshot = None
        if self.injector.old_snapshot:
            self.injector.old_snapshot = False
            snapshot = self.model.store.version - 3
        self.restarts += 1
        return OperatorProcess(
            self.restarts,
            self.model,
            self.ray,
            self.injector,
            lambda: self.clock + self.skew,
            self.options,
            snapshot,
        )

    def _depose(self, late_calls: int, seconds: float) -> None:
        """Another leader works for a while, in the middle of a call of the old one."""
        old = self.process
        assert old is not None
        self.process = self._new_process()
        self.go_on(self.clock + seconds)
        old.seam.late = LateCalls(late_calls - 1)
        for feed in old.feeds:
            feed.frozen = True

    def _shift(self, seconds: float) -> None:
        self.skew += seconds


def _has_gone_on(waited: Until, world: World) -> bool:
    return world.waits_for is not waited


def after(world: World, seconds: float) -> Until:
    """Holds from then on."""
    world.wake_in(seconds)
    then = world.clock + seconds
    return lambda it: it.clock >= then
