"""Manifests of small jobs over the tests' own environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Json = dict[str, Any]
ENVIRONMENT = "slow-environment"
FOLDER = "/opt/environment"
CHECKPOINTS = "/checkpoints"
CLAIM = "checkpoints"
BATCH = 256


ROLLOUTS = {"replicas": 1, "resources": {"cpu": "100m", "memory": "1Gi"}}


def modules() -> dict[str, str]:
    """What drivers import from the tests, by file name."""
    return {"slow.py": Path(__file__).with_name("counting_environment.py").read_text()}


def slow_job(name: str, image: str, *, claim: bool = False, **changes: Any) -> Json:
    """A job that learns 64 env steps a second in 256s, without workers of its own.

    ``changes``: groups of the spec that are replaced. ``claim``: checkpoints are kept on the volume claim.
    """
    volumes: list[Json] = [{"name": "environment", "mountPath": FOLDER, "configMap": ENVIRONMENT}]
    checkpoint: Json = {"everyUpdates": 2}
    if claim:
        volumes.append({"name": "checkpoints", "mountPath": CHECKPOINTS, "claim": CLAIM})
        checkpoint["uri"] = f"{CHECKPOINTS}/{name}"
    spec: Json = {
        "environment": {"entrypoint": "slow:Slow", "kwargs": {"seconds": 0.002}},
        "algorithm": {"ppo": {"batchSize": BATCH, "minibatchSize": BATCH, "epochs": 1}},
        "rollouts": {"replicas": 0, "envsPerWorker": 8},
        "driver": {"resources": {"cpu": "100m", "memory": "2Gi"}},
        "runtime": {
            "image": image,
            "env": [{"name": "PYTHONPATH", "value": FOLDER}],
            "volumes": volumes,
        },
        "stop": {"envSteps": 4 * BATCH},
        "checkpoint": checkpoint,
        "evaluation": {"episodes": 0},
        "tracking": {"enabled": False},
    }
    return {"metadata": {"name": name}, "spec": spec | changes}


ENDLESS = {"envSteps": 10**9}
