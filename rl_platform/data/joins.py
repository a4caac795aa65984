"""Joins the lanes of one environment, for methods that learn from all its agents together.

Shape legend: T rows of a trajectory, L its lanes, S joint steps, E environments, A agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rl_platform.data.trajectory import EPISODE, Trajectory
from rl_platform.data.tree import Tree


@dataclass(frozen=True, slots=True)
class Joint:
    """Steps of environments, each with what its agents did in it; in the order of time per environment."""

    columns: Tree  # [S, E, A, ...], zero where the agent is not present
    present: np.ndarray  # bool [S, E, A]: the agent acted in this step
    length: np.ndarray  # i64 [E] joint steps of each environment; rows beyond are zero
    tick: np.ndarray  # i32 [S, E] step of the environment's episode
    episode: np.ndarray  # i64 [S, E] number of that episode
    env: np.ndarray  # i32 [E]
    agent: np.ndarray  # i32 [A] which of the environment's possible agents


def join(
    trajectories: Sequence[Trajectory], columns: Sequence[Mapping[str, np.ndarray]] | None = None
) -> Joint:
    """Join the new rows of one fragment's trajectories by (environment, episode, tick).

    ``columns`` are [T, L, ...] for each trajectory, e.g. those of a recipe; without them observations,
    actions, rewards, flags and extras are joined. A row that is held back at a fragment's end is delivered,
    and joined, with the next one. Raises ValueError for trajectories of different fragments, columns whose
    names or shapes differ between policies, and an agent that is in two lanes.
    """
    if columns is None:
        columns = [_new_rows(trajectory) for trajectory in trajectories]
    _refuse_what_does_not_fit(trajectories, columns)
    env, env_of = _values([trajectory.env for trajectory in trajectories])
    agent, agent_of = _values([trajectory.agent for trajectory in trajectories])
    rows = [_rows(trajectory) for trajectory in trajectories]
    where = [index[lane] for index, (_, lane) in zip(env_of, rows, strict=True)]
    who = [index[lane] for index, (_, lane) in zip(agent_of, rows, strict=True)]
    moments = [_moments(trajectory, *at) for trajectory, at in zip(trajectories, rows, strict=True)]
    step, length, tick, episode = _steps(np.concatenate(where), np.concatenate(moments), len(env))
    size = (int(length.max(initial=0)), len(env), len(agent))
    present = np.zeros(size, bool)
    joined: Tree = {n: np.zeros((*size, *leaf.shape[2:]), leaf.dtype) for n, leaf in columns[0].items()}
    bounds = np.cumsum([len(part) for part in where])[:-1]
    for own, (row, lane), e, a, s in zip(columns, rows, where, who, np.split(step, bounds), strict=True):
        present[s, e, a] = True
        for name, leaf in own.items():
            joined[name][s, e, a] = leaf[row, lane]
    return Joint(joined, present, length, tick, episode, env, agent)


def _new_rows(trajectory: Trajectory) -> Tree:
    k = trajectory.look_back
    columns = {path: leaf[k:-1] for path, leaf in trajectory.obs.items()}
    columns |= {path: leaf[k:] for path, leaf in trajectory.action.items()}
    columns |= {name: leaf[k:-1] for name, leaf in trajectory.extra.items()}
    return columns | {"reward": trajectory.reward[k:], "flags": trajectory.flags[k:]}


def _refuse_what_does_not_fit(
    trajectories: Sequence[Trajectory], columns: Sequence[Mapping[str, np.ndarray]]
) -> None:
    origins = {(trajectory.source, trajectory.sequence) for trajectory in trajectories}
    if len(origins) != 1:
        raise ValueError(
            f"cannot join fragments (source, sequence) {sorted(origins)}; expected those of one fragment"
        )
    seats = np.concatenate([trajectory.env * EPISODE + trajectory.agent for trajectory in trajectories])
    if len(np.unique(seats)) < len(seats):
        raise ValueError("an agent of an environment is in two lanes; expected every agent in one")
    kinds = [{name: (leaf.shape[2:], leaf.dtype) for name, leaf in each.items()} for each in columns]
    for trajectory, kind in zip(trajectories, kinds, strict=True):
        differing = sorted({name for name, _ in kind.items() ^ kinds[0].items()})
        if differing:
            raise ValueError(
                f"{trajectories[0].policy!r} and {trajectory.policy!r} differ in columns {differing}; "
                "give columns that have the same names and shapes in all of them"
            )


def _values(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Distinct values in order, and for each part the places of its own."""
    values, places = np.unique(np.concatenate(parts), return_inverse=True)
    return values, np.split(places, np.cumsum([len(part) for part in parts])[:-1])


def _rows(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    """(row, lane) of every valid new row."""
    row, lane = np.nonzero(np.arange(trajectory.rows)[:, None] < trajectory.length)
    return row, lane


def _moments(trajectory: Trajectory, row: np.ndarray, lane: np.ndarray) -> np.ndarray:
    """Number of the environment's episode and tick in it, as one number that grows with time."""
    at = row + trajectory.look_back
    episode = trajectory.episode[at, lane]
    moment: np.ndarray = episode - episode % EPISODE + trajectory.tick[at, lane]
    return moment


def _steps(
    env: np.ndarray, moment: np.ndarray, envs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each row its joint step [N]; then length [E], tick [S, E] and episode [S, E]."""
    order = np.lexsort((moment, env))
    env_sorted, moment_sorted = env[order], moment[order]
    new = np.ones(len(order), bool)
    new[1:] = (env_sorted[1:] != env_sorted[:-1]) | (moment_sorted[1:] != moment_sorted[:-1])
    length = np.bincount(env_sorted[new], minlength=envs)
    started = np.cumsum(length) - length
    step_sorted = np.cumsum(new) - 1 - started[env_sorted]
    step = np.empty(len(order), np.int64)
    step[order] = step_sorted
    tick = np.zeros((int(length.max(initial=0)), envs), np.int32)
    episode = np.zeros(tick.shape, np.int64)
    tick[step, env], episode[step, env] = moment % EPISODE, moment // EPISODE
    return step, length, tick, episode
