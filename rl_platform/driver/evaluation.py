"""Greedy evaluation in environments of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from rl_platform.data.trajectory import ENDED
from rl_platform.data.tree import Tree
from rl_platform.driver.result import Evaluation
from rl_platform.envs.adapter import Arrivals, EnvironmentAdapter, Lanes
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor

SILENT_TICKS = 100_000
"""Where no episode ends for so long, open ones count with the return they have."""


def evaluate(
    adapter: EnvironmentAdapter,
    actors: Mapping[str, Actor],
    episodes: int,
    seed: int,
    watchdog: Watchdog | None = None,
    stop: Callable[[], bool] = lambda: False,
    on_tick: Callable[[int], object] = lambda ended: None,
) -> Evaluation | None:
    """Play ``episodes`` episodes with the mode of each policy and report the returns (sums over agents).

    Every environment plays a fixed share, so that short episodes are not preferred. None where ``stop``
    says so before the end. ``on_tick`` is told at each tick how many have ended. Raises EnvironmentFault.
    """
    quota = np.full(adapter.num_envs, episodes // adapter.num_envs)
    quota[: episodes % adapter.num_envs] += 1
    arrivals = {policy: arrivals_of(lanes) for policy, lanes in adapter.lanes.items()}
    states = {policy: actors[policy].initial_state(len(lanes)) for policy, lanes in adapter.lanes.items()}
    seeds = np.random.SeedSequence([seed, 0xE7A1]).generate_state(adapter.num_envs, np.uint32)
    with _watching(watchdog):
        adapter.reset_into(arrivals, [int(each) for each in seeds])
    running, length = np.zeros(adapter.num_envs), np.zeros(adapter.num_envs, np.int64)
    resetting = np.zeros(adapter.num_envs, bool)  # spends this tick on its reset
    returns: list[float] = []
    lengths: list[int] = []
    silent = 0
    while quota.any() and silent < SILENT_TICKS:
        if stop():
            return None
        on_tick(len(returns))
        silent += 1
        actions = {
            policy: _act(actors[policy], arrivals[policy], states[policy], adapter.lockstep)
            for policy in arrivals
        }
        for arrival in arrivals.values():
            arrival.reward[:], arrival.ended[:] = 0.0, 0
            arrival.ready[:], arrival.first[:] = False, False
            arrival.final.clear()
        with _watching(watchdog):
            over = adapter.step_into(actions, arrivals)
        length += ~resetting
        resetting = over & adapter.late_reset
        for policy, lanes in adapter.lanes.items():
            np.add.at(running, lanes.env, arrivals[policy].reward)
            if adapter.lockstep:
                arrivals[policy].first[:] = (arrivals[policy].ended & ENDED) != 0
        for env in np.flatnonzero(over):
            if quota[env] > 0:
                quota[env] -= 1
                silent = 0
                returns.append(float(running[env]))
                lengths.append(int(length[env]))
            running[env], length[env] = 0.0, 0
    returns += [float(running[env]) for env in np.flatnonzero(quota)]
    lengths += [int(length[env]) for env in np.flatnonzero(quota)]
    return Evaluation(
        len(returns),
        float(np.mean(returns)),
        float(np.std(returns)),
        float(np.min(returns)),
        float(np.max(returns)),
        float(np.mean(lengths)),
        seed,
    )


def _watching(watchdog: Watchdog | None) -> AbstractContextManager[None]:
    return watchdog.one_call() if watchdog is not None else nullcontext()


def arrivals_of(lanes: Lanes) -> Arrivals:
    """Room for what a tick brings to the lanes of one policy."""
    count = len(lanes)
    obs: Tree = {path: np.zeros((count, *leaf.shape), leaf.dtype) for path, leaf in lanes.spaces.obs.items()}
    return Arrivals(
        obs,
        np.zeros(count, np.float32),
        np.zeros(count, np.uint8),
        np.zeros(count, bool),
        np.ones(count, bool),
    )


def _act(actor: Actor, arrivals: Arrivals, state: Tree, lockstep: bool) -> np.ndarray:
    """Actions [L, ...] in the environment's scale; only lanes that are ready act and move their state."""
    if lockstep or arrivals.ready.all():
        act = actor.act(arrivals.obs, state, arrivals.first, None)
        state.update(act.state)
        return np.asarray(act.env_action)
    ready = np.flatnonzero(arrivals.ready)
    shape = actor.spaces.action.shape
    actions = np.zeros((len(arrivals.ready), *shape), actor.spaces.action.dtype)
    if len(ready):
        obs = {path: leaf[ready] for path, leaf in arrivals.obs.items()}
        act = actor.act(obs, {path: leaf[ready] for path, leaf in state.items()}, arrivals.first[ready], None)
        actions[ready] = act.env_action
        for path, leaf in act.state.items():
            state[path][ready] = leaf
    return actions
