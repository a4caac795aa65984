"""A job with every section set, changes that may be made to it, and changes that may not.

The digest is asked in tests/spec, a real API server in tests/apiserver.
"""

from __future__ import annotations

import copy
from typing import Any

Spec = dict[str, Any]
Change = tuple[str, Any]
"""Dotted path of a field and its new value; None removes it."""

SPEC: Spec = {
    "seed": 1,
    "environment": {"id": "CartPole-v1", "kwargs": {"size": 3, "walls": {"height": 1}}},
    "algorithm": {"ppo": {"valueClipRange": 1}},
    "model": {"entrypoint": "nets:build", "kwargs": {"width": 32}, "hidden": [64]},
    "policies": [{"name": "keeper", "agents": ["a"]}, {"name": "field"}],
    "schedules": {"learningRate": {"final": 0, "steps": 1000}},
    "rollouts": {
        "replicas": 2,
        "minReplicas": 1,
        "envsPerWorker": 4,
        "workersPerPod": 2,
        "spot": True,
        "resources": {"cpu": 1},
        "nodeSelector": {"pool": "cheap"},
        "tolerations": [{"key": "spot"}],
        "podOverrides": {"metadata": {"labels": {"team": "a"}}},
    },
    "learner": {"replicas": 1, "podOverrides": {"spec": {"schedulerName": "ours"}}},
    "driver": {"port": 9000},
    "replay": {"placement": "rollouts"},
    "runtime": {"image": "training:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    "stop": {"envSteps": 1000, "wallSeconds": 60},
    "evaluation": {"episodes": 5},
    "checkpoint": {"everyUpdates": 5},
    "tracking": {"experiment": "cartpole"},
    "runPolicy": {"managedBy": "example.com/other"},
    "scheduling": {"queue": "team-a"},
}

REFUSED: dict[str, list[Change]] = {
    "seed": [("seed", 2), ("seed", None)],
    "environment": [
        ("environment.maxEpisodeSteps", 5),
        ("environment.kwargs", {"length": 3, "walls": {"height": 1}}),  # a key of free JSON is renamed
        ("environment.kwargs.walls", {"width": 1}),
        ("environment.kwargs.size", 4),
        ("environment.kwargs.size", None),
    ],
    "algorithm": [("algorithm.ppo.gamma", 0.9), ("algorithm.ppo.valueClipRange", None)],
    "model": [("model.hidden", [64, 64]), ("model.kwargs", {"depth": 32})],
    "policies": [("policies", [{"name": "field"}, {"name": "keeper", "agents": ["a"]}]), ("policies", [])],
    "schedules": [("schedules.learningRate", None), ("schedules.clipRange", {"steps": 5})],
    "rollouts.resources": [("rollouts.resources.cpu", 2), ("rollouts.resources.memory", "1Gi")],
    "rollouts.nodeSelector": [("rollouts.nodeSelector.pool", "dear"), ("rollouts.nodeSelector", None)],
    "rollouts.tolerations": [("rollouts.tolerations", []), ("rollouts.tolerations", [{"key": "gpu"}])],
    "rollouts.podOverrides": [
        ("rollouts.podOverrides.metadata.labels", {"crew": "a"}),
        ("rollouts.podOverrides.metadata", {"annotations": {"team": "a"}}),
        ("rollouts.podOverrides", {"spec": {"labels": {"team": "a"}}}),
        ("rollouts.podOverrides.spec", {"schedulerName": "ours"}),
    ],
    "rollouts.workersPerPod": [("rollouts.workersPerPod", 1), ("rollouts.workersPerPod", 3)],
    "rollouts.envsPerWorker": [("rollouts.envsPerWorker", 5), ("rollouts.envsPerWorker", None)],
    "rollouts.spot": [("rollouts.spot", False), ("rollouts.spot", None)],
    "learner": [("learner.gpusPerReplica", 1), ("learner.podOverrides.spec", {"runtimeClassName": "ours"})],
    "driver": [("driver.port", None), ("driver.resources", {"memory": "1Gi"})],
    "replay": [("replay.shards", 2), ("replay.placement", "driver")],
    "runtime": [
        ("runtime.image", "training:2"),
        ("runtime.env", [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
    ],
    "evaluation": [("evaluation.episodes", 6), ("evaluation.gate", {"minimumReturn": 5})],
    "checkpoint": [("checkpoint.keep", 5), ("checkpoint.restoreFrom", "models:/a@champion")],
    "tracking": [("tracking.experiment", None), ("tracking.enabled", False)],
    "runPolicy.managedBy": [("runPolicy.managedBy", None), ("runPolicy.managedBy", "example.com/third")],
    "scheduling": [("scheduling.queue", "team-b"), ("scheduling.priorityClass", "high")],
}
"""By the field that a refusal names."""

ACCEPTED: list[Change] = [
    ("stop.envSteps", 2000),
    ("stop", {"updates": 5, "plateau": {"envSteps": 7}}),
    ("stop.wallSeconds", None),
    ("rollouts.replicas", 3),
    ("rollouts.minReplicas", None),
    ("rollouts.minReplicas", 2),
    ("rollouts.maxReplicas", 2),
    ("rollouts.maxReplicas", 20),
    ("runPolicy.suspend", True),
    ("runPolicy.backoffLimit", 0),
    ("runPolicy.infrastructureRetries", 5),
    ("runPolicy.activeDeadlineSeconds", 3600),
    ("runPolicy.ttlSecondsAfterFinished", 0),
    # Nothing has changed: what is written out are defaults.
    ("environment.wrappers", []),
    ("algorithm.ppo.gamma", 0.99),
    ("rollouts.podOverrides.spec", None),
]

WHO_SAMPLES_CHANGES: list[tuple[Spec, Spec]] = [
    ({}, {"replicas": 1}),
    ({"replicas": 0, "maxReplicas": 4}, {"replicas": 4, "maxReplicas": 4}),
    ({"replicas": 2}, {"replicas": 0}),
    ({"replicas": 1, "minReplicas": 0}, {"minReplicas": 0}),
]
WHO_SAMPLES_STAYS: list[tuple[Spec, Spec]] = [
    ({"replicas": 1}, {"replicas": 9}),
    ({"replicas": 9, "minReplicas": 0}, {"replicas": 1, "minReplicas": 1}),
    ({}, {"replicas": 0, "minReplicas": 0, "maxReplicas": 4}),
]
"""Sections ``rollouts`` before and after."""


def changed(change: Change) -> Spec:
    """`SPEC` with one field replaced or removed."""
    spec = copy.deepcopy(SPEC)
    place, (*parents, last) = spec, change[0].split(".")
    for name in parents:
        place = place.setdefault(name, {})
    if change[1] is None:
        place.pop(last, None)
    else:
        place[last] = change[1]
    return spec
