"""From trajectories to minibatches: independent rows, or whole sequences for recurrent policies.

Shape legend: T rows, L lanes, N valid rows, S rows per sequence, Q sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import FIRST, Trajectory
from rl_platform.data.tree import OBS, STATE, Tree


def columns_of(trajectory: Trajectory, recipe: Sequence[DataFn], knobs: Mapping[str, np.ndarray]) -> Tree:
    """Observation, action, extras and whatever the recipe adds, for the new rows: [T, L, ...]."""
    k = trajectory.look_back
    columns: Tree = {path: leaf[k:-1] for path, leaf in trajectory.obs.items()}
    columns |= {path: leaf[k:] for path, leaf in trajectory.action.items()}
    columns |= {name: leaf[k:-1] for name, leaf in trajectory.extra.items()}
    for step in recipe:
        columns |= step(trajectory, columns, knobs)
    return columns


def rows(
    trajectories: Sequence[Trajectory], recipe: Sequence[DataFn], knobs: Mapping[str, np.ndarray]
) -> Tree:
    """All valid rows, time-major per trajectory: [N, ...]."""
    parts = []
    for trajectory in trajectories:
        columns = columns_of(trajectory, recipe, knobs)
        if trajectory.full:
            parts.append({name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in columns.items()})
        else:
            valid = np.arange(trajectory.rows)[:, None] < trajectory.length
            parts.append({name: leaf[valid] for name, leaf in columns.items()})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def sequences(
    trajectories: Sequence[Trajectory], recipe: Sequence[DataFn], knobs: Mapping[str, np.ndarray]
) -> tuple[Tree, Tree]:
    """Lanes cut where their state was stored: columns [S, Q, ...] with ``first``, ``valid``; state [Q, ...].

    Sequences without a valid row are left out.
    """
    steps, states = [], []
    for trajectory in trajectories:
        columns = columns_of(trajectory, recipe, knobs)
        columns["first"] = (trajectory.flags[trajectory.look_back :] & FIRST) != 0
        columns["valid"] = np.arange(trajectory.rows)[:, None] < trajectory.length
        cut = {name: _cut(leaf, trajectory.state_every) for name, leaf in columns.items()}
        used = cut["valid"].any(axis=0)
        steps.append({name: leaf[:, used] for name, leaf in cut.items()})
        states.append(
            {
                path: leaf[: -(-trajectory.rows // trajectory.state_every)].reshape(-1, *leaf.shape[2:])[used]
                for path, leaf in trajectory.state.items()
            }
        )
    return (
        {name: np.concatenate([part[name] for part in steps], axis=1) for name in steps[0]},
        {path: np.concatenate([part[path] for part in states]) for path in states[0]},
    )


def sequences_of(trajectory: Trajectory) -> int:
    """How many `sequences` it is cut into."""
    valid = np.arange(trajectory.rows)[:, None] < trajectory.length
    return int(_cut(valid, trajectory.state_every).any(axis=0).sum())


def _cut(leaf: np.ndarray, length: int) -> np.ndarray:
    """[T, L, ...] → [length, ceil(T/length) * L, ...], padded with zeros at the end of time."""
    missing = -len(leaf) % length
    if missing:
        leaf = np.concatenate([leaf, np.zeros((missing, *leaf.shape[1:]), leaf.dtype)])
    chunks = leaf.reshape(-1, length, *leaf.shape[1:])
    return np.ascontiguousarray(np.moveaxis(chunks, 0, 1)).reshape(length, -1, *leaf.shape[2:])


def parts(total: int, size: int) -> list[slice]:
    """``total`` rows in minibatches of about ``size``, all of nearly the same length: no tiny last one."""
    count = max(1, round(total / size))
    edges = [total * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]


def shuffled(total: int, size: int, epochs: int, seed: int, draw: int) -> Iterator[list[np.ndarray]]:
    """For each epoch, the index arrays of its minibatches. The order depends on (seed, draw) alone."""
    rng = np.random.Generator(np.random.Philox(key=[seed, draw]))
    for _ in range(epochs):
        order = rng.permutation(total)
        yield [order[part] for part in parts(total, size)]


def sequence_batch(columns: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Columns [S, Q, ...] and state [Q, ...] as objectives read them; what only they read has no padding."""
    valid = columns["valid"]
    batch = {name: leaf if _is_step_column(name) else leaf[valid] for name, leaf in columns.items()}
    return batch | {_state_path(path): leaf for path, leaf in state.items()}


def _is_step_column(name: str) -> bool:
    """Columns that keep their time axis in a recurrent batch: what the network itself reads."""
    return name.split("/")[0] in (OBS, STATE) or name in ("first", "valid")


def _state_path(path: str) -> str:
    return path if path.startswith(f"{STATE}/") else f"{STATE}/{path}"
