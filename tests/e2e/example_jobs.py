"""The examples as a user sends them to a cluster: a place for checkpoints and an MLflow server added."""

from __future__ import annotations

from typing import Any

from rl_platform.spec.yaml_reading import read_documents
from tests.cluster.slow_jobs import CHECKPOINTS, CLAIM, ENVIRONMENT, FOLDER
from tests.contracts.source_files import ROOT

Json = dict[str, Any]
SMALL = {"cpu": "500m", "memory": "3Gi"}


def example(name: str, mlflow: str, **changes: Any) -> Json:
    """No apiVersion, no kind. ``changes``: groups of the spec, merged over the example's; None removes."""
    path = ROOT / "helm" / "examples" / f"{name}.yaml"
    (document,), _ = read_documents(path.read_text(), path.name)
    spec: Json = document.value["spec"]
    needed: Json = {"driver": {"resources": SMALL}, "tracking": {"mlflowUri": mlflow}}
    for group, fields in (needed | changes).items():
        merged = {**spec.get(group, {}), **fields}
        spec[group] = {key: value for key, value in merged.items() if value is not None}
    return {"metadata": {"name": name}, "spec": spec}


def on_claim(name: str) -> Json:
    """Groups for checkpoints on a volume claim, and the tests' environments from their ConfigMap."""
    volumes = [
        {"name": "checkpoints", "mountPath": CHECKPOINTS, "claim": CLAIM},
        {"name": "environment", "mountPath": FOLDER, "configMap": ENVIRONMENT},
    ]
    runtime = {"volumes": volumes, "env": [{"name": "PYTHONPATH", "value": FOLDER}]}
    return {"runtime": runtime, "checkpoint": {"uri": f"{CHECKPOINTS}/{name}"}}
