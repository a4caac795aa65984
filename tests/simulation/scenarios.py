"""The named scenarios: what users and accidents do to a job, as generators that wait for what they yield."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rl_operator.names import HEAD, ROLLOUTS
from rl_operator.runtime.resources import RAY_CLUSTERS, SERVICE_ACCOUNTS
from tests.simulation.fake_driver import Plan
from tests.simulation.world import NAMESPACE, Script, Until, World, after, cluster_kind

Json = dict[str, Any]
Start = Callable[[World], Script]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``ends``: phase of the job at the end, or what else is to hold; None: the job is gone."""

    name: str
    script: Start
    ends: str | None
    reason: str = ""
    condition: str = "Succeeded"
    options: Json = field(default_factory=dict)


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    ends: str | None, reason: str = "", condition: str = "Succeeded", **options: Any
) -> Callable[[Start], Start]:
    def register(script: Start) -> Start:
        name = script.__name__
        SCENARIOS[name] = Scenario(name, script, ends, reason, condition, options)
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


# The plain story


@scenario(*SUCCEEDS)
def succeeds(world: World) -> Script:
    world.create()
    yield done


@scenario(*SUCCEEDS)
def succeeds_without_groups(world: World) -> Script:
    world.create(spec={"rollouts": {"replicas": 0}})
    yield done


@scenario(*SUCCEEDS)
def succeeds_with_learners(world: World) -> Script:
    world.create(spec={"learner": {"replicas": 1, "gpusPerReplica": 1}})
    yield done


@scenario(*SUCCEEDS)
def two_jobs(world: World) -> Script:
    world.create()
    world.create("other")
    yield done
    yield lambda it: it.condition("Succeeded", "other")[0] == "True"


@scenario("Succeeded", "Completed")
def driver_lingers_unheard(world: World) -> Script:
    """Its endpoints never answer, so its last word is only what Ray says."""
    world.ray.plans["job"] = Plan(silent=True)
    world.create()
    yield done


@scenario(None)
def ttl(world: World) -> Script:
    world.create(spec={"runPolicy": {"ttlSecondsAfterFinished": 40}})
    yield gone


# Failures of the job's own


@scenario(*SUCCEEDS)
def fails_once(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (3000, 1, "EnvironmentFault")})
    world.create()
    yield done


@scenario("Failed", "BackoffLimitExceeded")
def fails_too_often(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures=dict.fromkeys(range(1, 9), (1500, 1, "NotANumber")))
    world.create(spec={"runPolicy": {"backoffLimit": 1}})
    yield done


@scenario("Failed", "BackoffLimitExceeded")
def no_retries(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (100, 1, "Diverged")})
    world.create(spec={"runPolicy": {"backoffLimit": 0}})
    yield done


@scenario("Failed", "BadConfiguration")
def bad_configuration(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (0, 2, "BadConfiguration")})
    world.create()
    yield done


@scenario(*SUCCEEDS)
def crashes_without_a_word(world: World) -> Script:
    world.ray.plans["job"] = Plan(crashes={1: 3500})
    world.create()
    yield done


@scenario("Failed", "BadConfiguration")
def overrides_refused(world: World) -> Script:
    world.create(spec={"driver": {"podOverrides": {"spec": {"hostNetwork": True}}}})
    yield done


@scenario("Failed", "BadConfiguration")
def service_account_missing(world: World) -> Script:
    world.create(spec={"runtime": {"serviceAccountName": "mighty"}})
    yield done


@scenario("Failed", "BadConfiguration")
def service_account_not_labelled(world: World) -> Script:
    world.model.user("POST", SERVICE_ACCOUNTS.path(NAMESPACE), {"metadata": {"name": "mighty"}})
    world.create(spec={"runtime": {"serviceAccountName": "mighty"}})
    yield done


@scenario("Failed", "DeadlineExceeded")
def deadline(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 900_000}, "runPolicy": {"activeDeadlineSeconds": 20}})
    yield done


@scenario("Failed", "DeadlineExceeded", drain_grace_seconds=10.0, stop_grace_seconds=5.0)
def deadline_of_a_deaf_driver(world: World) -> Script:
    world.ray.plans["job"] = Plan(ignores_drain=True, ignores_stop=True, never_ends=True)
    world.create(spec={"runPolicy": {"activeDeadlineSeconds": 20}})
    yield done


# Lost pods and clusters


@scenario(*SUCCEEDS)
def head_fails_while_running(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.fail_pod()
    yield done


@scenario(*SUCCEEDS)
def head_removed_while_running(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.remove_pod()
    yield done


@scenario(*SUCCEEDS)
def head_evicted_gently(world: World) -> Script:
    """With its grace period: preStop drains the driver."""
    world.create()
    yield steps(3000)
    world.remove_pod(grace=None)
    yield done


@scenario(*SUCCEEDS)
def head_lost_while_submitting(world: World) -> Script:
    world.create()
    yield driver("Submitted")
    world.fail_pod()
    yield done


@scenario(*SUCCEEDS)
def head_lost_before_submitting(world: World) -> Script:
    world.create()
    yield pods(1, HEAD)
    world.remove_pod()
    yield done


@scenario(*SUCCEEDS)
def heads_lost_in_a_row(world: World) -> Script:
    world.kuberay.hostility.heads_lost = 2
    world.create()
    yield done


@scenario("Failed", "InfrastructureRetriesExceeded")
def heads_lost_too_often(world: World) -> Script:
    world.create(spec={"runPolicy": {"infrastructureRetries": 1}})
    for _ in range(2):
        yield steps(1000)
        world.fail_pod()
        yield phase("Retrying", "Failed", "Provisioning")
    yield done


@scenario(*SUCCEEDS)
def worker_lost(world: World) -> Script:
    world.create()
    yield steps(2000)
    world.lose_worker()
    yield done


@scenario(*SUCCEEDS)
def cluster_deleted_while_running(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.delete_cluster()
    yield done


@scenario(*SUCCEEDS)
def cluster_deleted_while_starting(world: World) -> Script:
    world.create()
    yield cluster
    world.delete_cluster()
    yield done


@scenario(*SUCCEEDS, unreachable_deadline_seconds=60.0)
def head_hangs(world: World) -> Script:
    """Long enough to be given up: the head has to go before another driver may start."""
    world.create(spec={"stop": {"envSteps": 20_000}})
    yield steps(3000)
    world.ray.hanging = True
    yield lambda it: it.status().get("failures", {}).get("infrastructure", 0) > 0
    world.ray.hanging = False
    yield done


@scenario(*SUCCEEDS)
def head_hangs_for_a_while(world: World) -> Script:
    world.create()
    yield steps(2000)
    world.ray.hanging = True
    yield after(world, 20.0)
    world.ray.hanging = False
    yield done


# Suspending


def _resumed(world: World) -> Script:
    yield phase("Suspended")
    world.suspend(False)
    yield done


@scenario("Suspended", "Suspended", "Suspended")
def suspended_from_the_start(world: World) -> Script:
    world.create(spec={"runPolicy": {"suspend": True}})
    yield phase("Suspended")


@scenario(*SUCCEEDS)
def suspended_while_provisioning(world: World) -> Script:
    world.create()
    yield cluster
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS)
def suspended_while_submitting(world: World) -> Script:
    world.create()
    yield driver("Submitted")
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS)
def suspended_while_training(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS)
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


@scenario(*SUCCEEDS)
def resumed_while_suspending(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 20_000}})
    yield steps(2000)
    world.suspend()
    yield phase("Suspending")
    world.suspend(False)
    yield done


@scenario(*SUCCEEDS, drain_grace_seconds=10.0, stop_grace_seconds=5.0)
def suspended_but_deaf(world: World) -> Script:
    world.ray.plans["job"] = Plan(ignores_drain=True, ignores_stop=True)
    world.create(spec={"stop": {"envSteps": 40_000}})
    yield steps(3000)
    world.suspend()
    yield from _resumed(world)


@scenario(*SUCCEEDS)
def head_lost_while_suspending(world: World) -> Script:
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
    world.edit({"spec": {"rollouts": {"replicas": 1}}})
    yield pods(1)
    yield done


@scenario(*SUCCEEDS)
def stop_moved(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 900_000}})
    yield steps(2000)
    world.edit({"spec": {"stop": {"envSteps": 8000}}})
    yield done


@scenario("Succeeded", "SpecDrift", "Degraded")
def drift(world: World) -> Script:
    """As if the server's comparison had let it pass."""
    world.create()
    yield training
    stored = world.model.store.of(world.model.resource("trainingjobs"))[NAMESPACE, "job"]
    changed = {**stored.document, "spec": {**stored.document["spec"], "seed": 7}}
    world.model.store.put(world.model.resource("trainingjobs"), (NAMESPACE, "job"), changed)
    yield done


# The cluster's side


@scenario("")
def managed_by_somebody_else(world: World) -> Script:
    world.create(spec={"runPolicy": {"managedBy": "example.com/other"}})
    yield after(world, 120.0)


@scenario(*SUCCEEDS)
def kuberay_missing_at_first(world: World) -> Script:
    world.model.withdraw(RAY_CLUSTERS)
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "KubeRayMissing"
    world.model.serve(cluster_kind())
    yield done


@scenario(*SUCCEEDS)
def quota_refuses_pods(world: World) -> Script:
    world.kuberay.hostility.quota = True
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "QuotaExceeded"
    world.kuberay.hostility.quota = False
    yield done


@scenario("Failed", "InfrastructureRetriesExceeded", provisioning_deadline_seconds=120.0)
def quota_never_enough(world: World) -> Script:
    world.kuberay.hostility.quota = True
    world.create(spec={"runPolicy": {"infrastructureRetries": 0}})
    yield done


@scenario(*SUCCEEDS)
def image_comes_late(world: World) -> Script:
    world.kuberay.hostility.no_image = True
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "ImagePullFailed"
    world.kuberay.hostility.no_image = False
    yield done


@scenario(*SUCCEEDS)
def unschedulable_at_first(world: World) -> Script:
    world.kuberay.hostility.no_node = True
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "Unschedulable"
    world.kuberay.hostility.no_node = False
    yield done


@scenario(*SUCCEEDS)
def queued(world: World) -> Script:
    """Kueue holds the cluster, and admits it later."""
    world.create(spec={"scheduling": {"queue": "team"}})
    yield cluster
    _hold(world, True)
    yield lambda it: it.condition("ClusterReady")[1] == "Queued"
    _hold(world, False)
    yield done


@scenario(*SUCCEEDS)
def preempted_by_its_queue(world: World) -> Script:
    world.create(spec={"scheduling": {"queue": "team"}})
    yield steps(3000)
    _hold(world, True)
    yield lambda it: not it.pods()
    _hold(world, False)
    yield done


def _hold(world: World, held: bool) -> None:
    for _, name in list(world.model.store.of(RAY_CLUSTERS)):
        world.model.user("PATCH", RAY_CLUSTERS.path(NAMESPACE, name), {"spec": {"suspend": held}})


@scenario(*SUCCEEDS)
def operator_upgraded(world: World) -> Script:
    """Another version builds other clusters, and leaves those that run as they are."""
    world.create()
    yield steps(2000)
    world.upgrade("2")
    yield done
