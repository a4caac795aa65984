"""Every source, operator and ratio that plans are written with, in one place to import from."""

from __future__ import annotations

from rl_platform.execution.batching import concat_batches, prepare, select_experiences
from rl_platform.execution.concurrency import EnvStepsPerUpdate, concurrently
from rl_platform.execution.counters import Every
from rl_platform.execution.learning import (
    apply_gradients,
    publish_weights,
    train_one_step,
    update_filters,
    update_target_network,
)
from rl_platform.execution.learning_ahead import queue, submit, updates
from rl_platform.execution.replay import replay, store_to_replay, update_priorities
from rl_platform.execution.reporting import report
from rl_platform.execution.sampling import gradients, rollouts

__all__ = [
    "EnvStepsPerUpdate",
    "Every",
    "apply_gradients",
    "concat_batches",
    "concurrently",
    "gradients",
    "prepare",
    "publish_weights",
    "queue",
    "replay",
    "report",
    "rollouts",
    "select_experiences",
    "store_to_replay",
    "submit",
    "train_one_step",
    "update_filters",
    "update_priorities",
    "update_target_network",
    "updates",
]
