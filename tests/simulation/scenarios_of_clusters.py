"""Scenarios: a cluster that does not give what a job asks for."""

from __future__ import annotations

from rl_operator.runtime.resources import RAY_CLUSTERS
from tests.simulation.fake_driver import Plan
from tests.simulation.scenario_kit import SUCCEEDS, cluster, done, scenario, steps
from tests.simulation.world import NAMESPACE, Script, World, after, cluster_kind

# The cluster's side


@scenario("", attempts=0)
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
def kuberay_does_not_run_at_first(world: World) -> Script:
    world.kuberay.hostility.absent = True
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "KubeRaySilent"
    world.kuberay.hostility.absent = False
    world.kuberay.wake()
    yield done


@scenario(*SUCCEEDS)
def quota_refuses_pods(world: World) -> Script:
    world.kuberay.hostility.quota = True
    world.create()
    yield lambda it: it.condition("ClusterReady")[1] == "QuotaExceeded"
    world.kuberay.hostility.quota = False
    yield done


@scenario("Failed", "InfrastructureRetriesExceeded", provisioning_deadline_seconds=120.0, failures=(0, 1))
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


@scenario(*SUCCEEDS, attempts=2)
def preempted_by_its_queue(world: World) -> Script:
    world.ray.plans["job"] = Plan(endless=frozenset({1}))
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
