"""Scenarios: a job that runs, that fails, that loses what it runs on."""

from __future__ import annotations

from rl_operator.names import HEAD, TRAINING_LABEL
from rl_operator.runtime.resources import SERVICE_ACCOUNTS
from tests.simulation.fake_driver import Plan
from tests.simulation.fake_ray import PASSWORD
from tests.simulation.scenario_kit import SUCCEEDS, cluster, done, driver, gone, phase, pods, scenario, steps
from tests.simulation.world import NAMESPACE, Script, World, after

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
    yield done
    yield after(world, 30.0)
    assert not gone(world), "it goes before its time"
    yield gone


# Failures of the job's own


@scenario(*SUCCEEDS, attempts=2, failures=(1, 0))
def fails_once(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (3000, 1, "EnvironmentFault")})
    world.create()
    yield done


@scenario("Failed", "BackoffLimitExceeded", attempts=2, failures=(2, 0))
def fails_too_often(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures=dict.fromkeys(range(1, 9), (1500, 1, "NotANumber")))
    world.create(spec={"runPolicy": {"backoffLimit": 1}})
    yield done


@scenario("Failed", "BackoffLimitExceeded", failures=(1, 0))
def no_retries(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (100, 1, "Diverged")})
    world.create(spec={"runPolicy": {"backoffLimit": 0}})
    yield done


@scenario("Failed", "BadConfiguration")
def bad_configuration(world: World) -> Script:
    world.ray.plans["job"] = Plan(failures={1: (0, 2, "BadConfiguration")})
    world.create()
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(1, 0))
def crashes_without_a_word(world: World) -> Script:
    world.ray.plans["job"] = Plan(crashes={1: 3500})
    world.create()
    yield done


@scenario("Failed", "InfrastructureRetriesExceeded", attempts=3, failures=(0, 3))
def drains_unasked_again_and_again(world: World) -> Script:
    """As something in the job may do that ends the driver with the code for it."""
    world.ray.plans["job"] = Plan(drains=dict.fromkeys(range(1, 9), 1000))
    world.create(spec={"stop": {"envSteps": 900_000}, "runPolicy": {"infrastructureRetries": 2}})
    yield done


@scenario(*SUCCEEDS, attempts=3, failures=(2, 0))
def driver_blabs(world: World) -> Script:
    """Its messages and its log hold its token, and a password in a URI."""
    failures = {1: (1500, 1, "EnvironmentFault"), 2: (1500, 1, "EnvironmentFault")}
    world.ray.plans["job"] = Plan(failures=failures, blabs=True)
    world.create(spec={"tracking": {"mlflowUri": f"https://me:{PASSWORD}@mlflow.example"}})
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


@scenario(*SUCCEEDS)
def service_account_labelled(world: World) -> Script:
    """Its owner has said that trainings may be it; the pods hold no token of it even so."""
    labels = {TRAINING_LABEL: "true"}
    body = {"metadata": {"name": "mighty", "labels": labels}}
    world.model.user("POST", SERVICE_ACCOUNTS.path(NAMESPACE), body)
    world.create(spec={"runtime": {"serviceAccountName": "mighty"}})
    yield cluster
    for spec in world.watcher.clusters.values():
        pod = spec["headGroupSpec"]["template"]["spec"]
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("mighty", False)
    yield done


@scenario("Failed", "DeadlineExceeded")
def deadline(world: World) -> Script:
    world.create(spec={"stop": {"envSteps": 900_000}, "runPolicy": {"activeDeadlineSeconds": 20}})
    yield done


@scenario("Failed", "DeadlineExceeded", drain_grace_seconds=4.0, stop_grace_seconds=3.0)
def deadline_of_a_deaf_driver(world: World) -> Script:
    world.ray.plans["job"] = Plan(ignores_drain=True, ignores_stop=True, never_ends=True)
    world.create(spec={"runPolicy": {"activeDeadlineSeconds": 20}})
    yield done


# Lost pods and clusters


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
def head_fails_while_running(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.fail_pod()
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
def head_fails_while_kuberay_is_away(world: World) -> Script:
    """Nobody deletes the failed pod, and yet it is seen to run nothing any more."""
    world.create()
    yield steps(3000)
    world.kuberay.hostility.absent = True
    world.fail_pod()
    yield after(world, 20.0)
    assert world.status()["failures"]["infrastructure"] == 1
    world.kuberay.hostility.absent = False
    world.kuberay.wake()
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
def head_replaced_under_its_name(world: World) -> Script:
    """KubeRay's ENABLE_DETERMINISTIC_HEAD_POD_NAME: the next head answers where the last one did."""
    world.kuberay.hostility.same_names = True
    world.create()
    yield steps(3000)
    world.remove_pod()
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
def head_removed_while_running(world: World) -> Script:
    world.create()
    yield steps(3000)
    world.remove_pod()
    yield done


@scenario(*SUCCEEDS, attempts=2)
def head_evicted_gently(world: World) -> Script:
    """With its grace period: preStop drains the driver."""
    world.create()
    yield steps(3000)
    world.remove_pod(grace=None)
    yield done


@scenario(*SUCCEEDS, attempts=2, failures=(0, 1))
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


@scenario("Failed", "InfrastructureRetriesExceeded", attempts=2, failures=(0, 2))
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


@scenario(*SUCCEEDS, attempts=2)
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


@scenario(*SUCCEEDS, unreachable_deadline_seconds=60.0, attempts=2, failures=(0, 1))
def head_hangs(world: World) -> Script:
    """Long enough to be given up: the head has to go before another driver may start."""
    world.ray.plans["job"] = Plan(endless=frozenset({1}))
    world.create()
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
