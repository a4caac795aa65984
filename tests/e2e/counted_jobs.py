"""Jobs over the environment that counts its steps on a claim, and what it has counted."""

from __future__ import annotations

import json
from typing import Any

from rl_operator.runtime.resources import CONFIG_MAPS
from tests.cluster.live_cluster import Json, LiveCluster
from tests.cluster.slow_jobs import CHECKPOINTS, CLAIM, ENDLESS, slow_job
from tests.contracts.source_files import ROOT
from tests.e2e.claim_pod import run_on_claim

FOLDER = "/opt/counted"
COUNTS = f"{CHECKPOINTS}/counts"
READ = f"""
import json, pathlib
for file in pathlib.Path("{COUNTS}").glob("*.jsonl"):
    head, *lines = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}}")]
    if lines:
        times = {{"first": lines[0]["time"], "last": lines[-1]["time"]}}
        print(json.dumps(head | times | {{"steps": lines[-1]["steps"]}}))
"""
SMALL = {"cpu": "100m", "memory": "1Gi"}


def counted_job(jobs: LiveCluster, name: str, **changes: Any) -> Json:
    """With a learner and two rollout workers in pods of their own; it never ends by itself."""
    module = (ROOT / "tests" / "e2e" / "counted_cartpole.py").read_text()
    jobs.create(CONFIG_MAPS, {"metadata": {"name": "counted"}, "data": {"counted.py": module}})
    environment = {"entrypoint": "counted:Counted", "kwargs": {"folder": COUNTS}}
    groups: Json = {
        "stop": ENDLESS,
        "environment": environment,
        "learner": {"replicas": 1, "resources": {"cpu": "100m", "memory": "2Gi"}},
        "rollouts": {
            "replicas": 2,
            "minReplicas": 1,
            "maxReplicas": 4,
            "envsPerWorker": 8,
            "resources": SMALL,
        },
    }
    job = slow_job(name, jobs.image, claim=True, **(groups | changes))
    runtime = job["spec"]["runtime"]
    runtime["volumes"].append({"name": "counted", "mountPath": FOLDER, "configMap": "counted"})
    runtime["env"][0]["value"] = FOLDER
    return job


def counted(jobs: LiveCluster) -> list[Json]:
    """One for each environment, and each driver: kind, attempt, process, first and last time, steps."""
    return [json.loads(line) for line in run_on_claim(jobs, CLAIM, READ).splitlines()]
