"""What the learner's policy says of trajectories that an older policy has sampled.

Objectives that correct for the difference read it from the trajectory: ``learner/log_probability`` and
``learner/value`` beside what the actor said, for the last observations of episodes and of the fragment too.
A policy with memory starts from the states that the actor stored, as it does where it is learned from.

Shape legend: T new rows, L lanes, F episode ends, N rows of a batch, S rows between stored states, C of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple, Protocol

import numpy as np

from rl_platform.data.trajectory import ENDED, FIRST, TRUNCATED, Trajectory
from rl_platform.data.tree import ACTION, STATE, Tree
from rl_platform.models.policy import Knobs, Policy

LOG_PROBABILITY, VALUE = "learner/log_probability", "learner/value"
Assessor = Literal["actor", "learner", "target"]
"""Whose values and log-probabilities targets are computed from."""


class Assessment(NamedTuple):
    """Of the actions and observations of a batch; [N] each."""

    log_probability: np.ndarray
    value: np.ndarray


class Assess(Protocol):
    """A `Step` as it is asked here."""

    def assess(self, batch: Tree, knobs: Knobs, of_target: bool) -> Assessment: ...


def reassessed(
    step: Assess, policy: Policy, trajectory: Trajectory, knobs: Knobs, of_target: bool
) -> Trajectory:
    """The trajectory with ``learner/log_probability`` [K+T+1, L] and ``learner/value`` in its extras.

    By the learner's parameters, or by its target's. Look-back rows and rows beyond a lane's length are zero.
    """
    told = _by_sequences if policy.recurrent else _by_rows
    log_probability, value, final = told(step, policy, trajectory, knobs, of_target)
    k = trajectory.look_back
    extra = dict(trajectory.extra)
    extra[VALUE] = np.concatenate([np.zeros((k, value.shape[1]), np.float32), value])
    extra[LOG_PROBABILITY] = np.zeros_like(extra[VALUE])
    extra[LOG_PROBABILITY][k:-1] = log_probability
    ends = replace(trajectory.final, extra={**trajectory.final.extra, VALUE: final})
    return replace(trajectory, extra=extra, final=ends)


Told = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Log-probability [T, L], value [T+1, L], value of ``final`` [F] (zero where nothing follows)."""


def _by_rows(step: Assess, policy: Policy, trajectory: Trajectory, knobs: Knobs, of_target: bool) -> Told:
    """All rows at once: those that were acted on, the last one of each lane, and truncated ends."""
    k, rows, lanes = trajectory.look_back, trajectory.rows, np.arange(len(trajectory.length))
    valid = np.arange(rows)[:, None] < trajectory.length
    open_ended = _open_ends(trajectory)
    action = trajectory.action[ACTION][k:][valid]
    more = len(lanes) + len(open_ended)
    batch: Tree = {ACTION: np.concatenate([action, np.zeros((more, *action.shape[1:]), action.dtype)])}
    for path, leaf in trajectory.obs.items():
        last, ends = leaf[k + trajectory.length, lanes], trajectory.final.obs[path][open_ended]
        batch[path] = np.concatenate([leaf[k:-1][valid], last, ends])
    said = step.assess(batch, knobs, of_target)
    log_probability = np.zeros((rows, len(lanes)), np.float32)
    log_probability[valid] = said.log_probability[: len(action)]
    value = np.zeros((rows + 1, len(lanes)), np.float32)
    value[:-1][valid] = said.value[: len(action)]
    value[trajectory.length, lanes] = said.value[len(action) : len(action) + len(lanes)]
    final = np.zeros(len(trajectory.final.row), np.float32)
    final[open_ended] = said.value[len(action) + len(lanes) :]
    return log_probability, value, final


def _by_sequences(
    step: Assess, policy: Policy, trajectory: Trajectory, knobs: Knobs, of_target: bool
) -> Told:
    """From each stored state on, and one row further: for the last part of a lane, the last observation."""
    del policy
    rows, length, lanes = trajectory.rows, trajectory.length, np.arange(len(trajectory.length))
    every, count = trajectory.state_every, -(-trajectory.rows // trajectory.state_every)
    cut = {name: _cut(leaf, count, every) for name, leaf in _columns(trajectory).items()}
    batch = {name: leaf.reshape(every + 1, -1, *leaf.shape[3:]) for name, leaf in cut.items()}
    batch["valid"] = np.ones_like(batch["first"])
    for path, leaf in trajectory.state.items():
        batch[f"{STATE}/{path}"] = leaf[:count].reshape(-1, *leaf.shape[2:])
    said = step.assess(batch, knobs, of_target)
    log_probability, told = (each.reshape(every + 1, count, -1) for each in said)
    value = np.zeros((rows + 1, len(lanes)), np.float32)
    value[:-1] = _joined(told, rows)
    chunk = np.maximum(length - 1, 0) // every
    value[length, lanes] = told[length - chunk * every, chunk, lanes]
    return _joined(log_probability, rows), value, _of_ends(step, trajectory, knobs, of_target)


def _of_ends(step: Assess, trajectory: Trajectory, knobs: Knobs, of_target: bool) -> np.ndarray:
    """Each in a sequence of one step, from the state in which the actor saw it."""
    ends, of = _open_ends(trajectory), trajectory.final
    final = np.zeros(len(of.row), np.float32)
    if len(ends):
        action = trajectory.action[ACTION][of.row, of.lane]
        batch = {path: leaf[None, ends] for path, leaf in {**of.obs, ACTION: action}.items()}
        batch |= {f"{STATE}/{path}": leaf[ends] for path, leaf in of.state.items()}
        batch["first"] = np.zeros((1, len(ends)), bool)
        batch["valid"] = ~batch["first"]
        final[ends] = step.assess(batch, knobs, of_target).value
    return final


def _open_ends(trajectory: Trajectory) -> np.ndarray:
    """Which entries of ``final`` something would have followed: truncations."""
    flags = trajectory.flags[trajectory.final.row, trajectory.final.lane]
    return np.flatnonzero(flags & ENDED == TRUNCATED)


def _columns(trajectory: Trajectory) -> Tree:
    """What a network reads over time, [T+1, L, ...]."""
    k, lanes = trajectory.look_back, len(trajectory.length)
    action = trajectory.action[ACTION][k:]
    columns: Tree = {path: leaf[k:] for path, leaf in trajectory.obs.items()}
    columns[ACTION] = np.concatenate([action, np.zeros_like(action[:1])])
    columns["first"] = np.concatenate([(trajectory.flags[k:] & FIRST) != 0, np.zeros((1, lanes), bool)])
    return columns


def _cut(leaf: np.ndarray, count: int, every: int) -> np.ndarray:
    """[T+1, L, ...] → [S+1, C, L, ...]: each part with the row that follows it."""
    missing = count * every + 1 - len(leaf)
    padded = np.concatenate([leaf, np.zeros((missing, *leaf.shape[1:]), leaf.dtype)])
    parts: np.ndarray = padded[np.arange(every + 1)[:, None] + every * np.arange(count)]
    return parts


def _joined(leaf: np.ndarray, rows: int) -> np.ndarray:
    """[S+1, C, L] → [T, L], without the row that follows each part."""
    return np.moveaxis(leaf[:-1], 0, 1).reshape(-1, leaf.shape[2])[:rows]
