"""One environment, made and stepped once before anything else: a broken one fails here, at once."""

from __future__ import annotations

import gc
from itertools import pairwise

import numpy as np

from rl_platform.data.tree import ACTION_MASK
from rl_platform.driver.building import environments
from rl_platform.driver.evaluation import arrivals_of
from rl_platform.envs.adapter import Arrivals, EnvironmentAdapter, Lanes
from rl_platform.envs.watchdog import Watchdog
from rl_platform.spec.training_job import TrainingJob


def preflight(job: TrainingJob, watchdog: Watchdog) -> None:
    """Raises BadConfiguration, or EnvironmentFault where the environment is broken or hangs."""
    adapter = environments(job, 1, watchdog)
    try:
        _try_out(adapter, watchdog)
    finally:
        adapter.close()
    del adapter
    gc.collect()  # environments are often held by a circle of references, and `settled` would keep this one


def _try_out(adapter: EnvironmentAdapter, watchdog: Watchdog) -> None:
    """Reset and step once with a harmless action."""
    arrivals = {policy: arrivals_of(lanes) for policy, lanes in adapter.lanes.items()}
    with watchdog.one_call():
        adapter.reset_into(arrivals, list(range(adapter.num_envs)))
        actions = {policy: _some_action(lanes, arrivals[policy]) for policy, lanes in adapter.lanes.items()}
        adapter.step_into(actions, arrivals)


def _some_action(lanes: Lanes, arrivals: Arrivals) -> np.ndarray:
    """Zero for a Box (or its nearest bound), else the first legal choice."""
    space, count = lanes.spaces.action, len(lanes)
    if space.kind == "box":
        low, high = np.array(space.low).reshape(space.shape), np.array(space.high).reshape(space.shape)
        return np.broadcast_to(np.clip(np.zeros(space.shape), low, high), (count, *space.shape)).astype(
            np.float32
        )
    mask = arrivals.obs.get(ACTION_MASK)
    choices = np.zeros((count, max(1, space.size)), np.int64)
    if mask is not None:
        edges = np.cumsum([0, *space.categories])
        for component, (start, end) in enumerate(pairwise(edges)):
            choices[:, component] = mask[:, start:end].argmax(axis=1)
    actions: np.ndarray = choices + np.array(space.start or 0)
    return actions.reshape(count, *space.shape)
