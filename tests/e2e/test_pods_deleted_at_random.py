"""Pods of driver and operator are deleted at random while an environment counts its steps."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterable
from itertools import pairwise

from mlflow import MlflowClient

from rl_operator.runtime.resources import CONFIG_MAPS, PODS, TRAINING_JOBS
from rl_operator.runtime.transport import Request
from tests.cluster.live_cluster import Json, LiveCluster, phase, steps
from tests.cluster.slow_jobs import BATCH, CHECKPOINTS, CLAIM, ENDLESS, slow_job
from tests.cluster.volume_claims import volume_claim
from tests.contracts.source_files import ROOT
from tests.e2e.claim_pod import run_on_claim
from tests.e2e.port_forward import forwarded
from tests.e2e.release import MLFLOW, Release

SECONDS = float(os.environ.get("RLP_E2E_FAULT_SECONDS", "600"))
SEED = int(os.environ.get("RLP_E2E_SEED", "1"))
PAUSE_SECONDS = (15.0, 60.0)
COUNTS = f"{CHECKPOINTS}/counts"
READ = f"""
import json, pathlib
for file in pathlib.Path("{COUNTS}").glob("*.jsonl"):
    head, *lines = map(json.loads, file.read_text().splitlines())
    if lines:
        times = {{"first": lines[0]["time"], "last": lines[-1]["time"]}}
        print(json.dumps(head | times | {{"steps": lines[-1]["steps"]}}))
"""


def counted_job(jobs: LiveCluster, release: Release) -> Json:
    module = (ROOT / "tests" / "e2e" / "counted_cartpole.py").read_text()
    jobs.create(CONFIG_MAPS, {"metadata": {"name": "counted"}, "data": {"counted.py": module}})
    environment = {"entrypoint": "counted:Counted", "kwargs": {"folder": COUNTS}}
    job = slow_job("sturdy", jobs.image, claim=True, stop=ENDLESS, environment=environment)
    spec = job["spec"]
    volume = {"name": "counted", "mountPath": "/opt/counted", "configMap": "counted"}
    spec["runtime"]["volumes"].append(volume)
    spec["runtime"]["env"][0]["value"] = "/opt/counted"
    spec["tracking"] = {"mlflowUri": release.mlflow}
    spec["runPolicy"] = {"infrastructureRetries": 1000}
    return job


class Watched:
    """Every status that is seen: steps never fall below a checkpoint, attempts only grow."""

    def __init__(self, jobs: LiveCluster, name: str) -> None:
        self.jobs, self.name = jobs, name
        self.saved = self.attempt = 0

    def look(self) -> Json:
        status = self.jobs.status(self.name)
        assert status.get("phase") != "Failed", status
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
    """By the times that the environments of each driver wrote down."""
    spans: dict[tuple[int, str], tuple[float, float]] = {}
    for each in counted:
        driver = (each["attempt"], each["driver"])
        first, last = spans.get(driver, (each["first"], each["last"]))
        spans[driver] = (min(first, each["first"]), max(last, each["last"]))
    assert len({attempt for attempt, _ in spans}) == len(spans), f"two drivers of one attempt: {spans}"
    in_order = [spans[driver] for driver in sorted(spans)]
    for (_, ended), (began, _) in pairwise(in_order):
        assert ended <= began, f"two drivers at once: {spans}"


def test_it_finishes_with_one_model_and_never_two_drivers(jobs: LiveCluster, release: Release) -> None:
    chance = random.Random(SEED)
    with volume_claim(jobs, CLAIM):
        jobs.create(TRAINING_JOBS, counted_job(jobs, release))
        jobs.wait("sturdy", lambda status: steps(status) > 0, 600.0)
        watched, until, deleted = Watched(jobs, "sturdy"), time.monotonic() + SECONDS, 0
        next_at = time.monotonic()
        while time.monotonic() < until:
            watched.look()
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + chance.uniform(*PAUSE_SECONDS)
                if chance.random() < 0.6:
                    remove(jobs, jobs.pods("sturdy"), chance)
                else:
                    remove(release.home, release.operators(), chance)
                deleted += 1
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
        counted = [json.loads(line) for line in run_on_claim(jobs, CLAIM, READ).splitlines()]
    assert_one_driver_at_a_time(counted)
    assert (
        sum(it["steps"] for it in counted) >= steps(done) * 0.9
    )  # the last steps of each are not written down
    with forwarded(release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        versions = MlflowClient(server).search_model_versions("name = 'sturdy'")
    assert len(versions) == 1
    print(f"{deleted} pods deleted in {SECONDS:g} s, {done['attempt']} attempts")  # noqa: T201 - the report
