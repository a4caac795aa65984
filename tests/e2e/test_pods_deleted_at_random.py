"""Pods of driver, learner, rollout workers and operator are deleted at random; the steps are counted."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from mlflow import MlflowClient

from rl_operator.runtime.resources import PODS, TRAINING_JOBS
from rl_operator.runtime.transport import Request
from tests.cluster.live_cluster import Json, LiveCluster, phase, steps
from tests.cluster.slow_jobs import BATCH, CLAIM
from tests.cluster.volume_claims import volume_claim
from tests.e2e.counted_jobs import counted, counted_job
from tests.e2e.port_forward import forwarded
from tests.e2e.release import MLFLOW, Release

SECONDS = float(os.environ.get("RLP_E2E_FAULT_SECONDS", "600"))
SEED = int(os.environ.get("RLP_E2E_SEED", "1"))
PAUSE_SECONDS = (15.0, 60.0)
OPERATOR = "operator"
ROLES = ("head", "learner", "rollouts", OPERATOR)


class Watched:
    """Every status that is seen: steps never fall below a checkpoint, attempts only grow."""

    def __init__(self, jobs: LiveCluster, name: str) -> None:
        self.jobs, self.name = jobs, name
        self.saved = self.attempt = 0

    def look(self) -> Json:
        status = self.jobs.status(self.name)
        mistaken = status.get("failures", {}).get("application") or status.get("phase") == "Failed"
        assert not mistaken, "\n".join([str(status), *self.jobs.logs(self.name).values()])
        if "progress" in status:
            assert steps(status) >= self.saved, f"checkpoint {self.saved} and then {status['progress']}"
        self.saved = max(self.saved, status.get("checkpoint", {}).get("envSteps", 0))
        assert status.get("attempt", 0) >= self.attempt
        self.attempt = status.get("attempt", 0)
        return status


def remove(cluster: LiveCluster, pods: list[Json], chance: random.Random) -> None:
    """One of them: as its node is drained, or at once, as its node dies."""
    if pods:
        pod = chance.choice(pods)["metadata"]["name"]
        grace = (("gracePeriodSeconds", "0"),) if chance.random() < 0.5 else ()
        cluster.transport.send(Request("DELETE", PODS.path(cluster.namespace, pod), grace))


def assert_one_driver_at_a_time(counted: Iterable[Json]) -> None:
    """By the times that each driver wrote down as long as it lived."""
    drivers = sorted(
        (it["attempt"], it["first"], it["last"], it["process"]) for it in counted if it["kind"] == "driver"
    )
    assert len({attempt for attempt, *_ in drivers}) == len(drivers), f"two drivers of one attempt: {drivers}"
    for (_, _, ended, _), (_, began, _, _) in pairwise(drivers):
        assert ended <= began, f"two drivers at once: {drivers}"


def test_it_finishes_with_one_model_and_never_two_drivers(jobs: LiveCluster, release: Release) -> None:
    chance = random.Random(SEED)
    with volume_claim(jobs, CLAIM):
        tracked = {"mlflowUri": release.mlflow}
        policy = {"infrastructureRetries": 1000}
        job = counted_job(jobs, "sturdy", tracking=tracked, runPolicy=policy)
        jobs.create(TRAINING_JOBS, job)
        jobs.wait("sturdy", lambda status: steps(status) > 0, 600.0)
        watched, until, deleted = Watched(jobs, "sturdy"), time.monotonic() + SECONDS, Counter[str]()
        next_at = time.monotonic()
        while time.monotonic() < until:
            watched.look()
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + chance.uniform(*PAUSE_SECONDS)
                role = chance.choice(ROLES)
                if role == OPERATOR:
                    remove(release.home, release.operators(), chance)
                else:
                    remove(jobs, jobs.pods("sturdy", role), chance)
                deleted[role] += 1
            time.sleep(0.5)
        wanted = max(steps(watched.look()), watched.saved) + 20 * BATCH
        jobs.change("sturdy", {"stop": {"envSteps": wanted}})
        while not phase("Succeeded")(watched.look()):
            assert time.monotonic() < until + 900, jobs.status("sturdy")
            time.sleep(0.5)
        done = jobs.status("sturdy")
        assert steps(done) >= wanted
        assert done["failures"]["application"] == 0, done
        jobs.wait_for("no orphan is left", lambda: not jobs.holds("sturdy"))
        lives = counted(jobs)
    assert_one_driver_at_a_time(lives)
    # The last steps of each are not written down.
    assert sum(it["steps"] for it in lives) >= steps(done) * 0.9
    with forwarded(release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        versions = MlflowClient(server).search_model_versions("name = 'sturdy'")
    assert len(versions) == 1
    print(f"deleted in {SECONDS:g} s: {dict(deleted)}; {done['attempt']} attempts, {done['failures']}")  # noqa: T201 - the report
