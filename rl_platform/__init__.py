"""Reinforcement learning on Kubernetes: one TrainingJob manifest, from a laptop to a cluster.

    manifest → spec → driver → algorithm's plan → workers and learner
                                                → checkpoints, tracking → registry → serving

>>> from rl_platform import TrainingJob, train, load_policy

Importing this package imports nothing heavy: each name is fetched when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl_platform.driver.result import Result
    from rl_platform.driver.train import TrainingFailed, train
    from rl_platform.serving.loading import load_policy
    from rl_platform.spec.manifest import load_manifest
    from rl_platform.spec.training_job import TrainingJob

__all__ = ["Result", "TrainingFailed", "TrainingJob", "load_manifest", "load_policy", "train"]

_HOMES = {
    "Result": "rl_platform.driver.result",
    "TrainingFailed": "rl_platform.driver.train",
    "TrainingJob": "rl_platform.spec.training_job",
    "load_manifest": "rl_platform.spec.manifest",
    "load_policy": "rl_platform.serving.loading",
    "train": "rl_platform.driver.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rl_platform' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
