"""What a policy says of observations it will not act on: the last ones of episodes."""

from __future__ import annotations

import numpy as np

from rl_platform.data.trajectory import Final
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.models.actors import Actor
from rl_platform.workers.columns import VALUE, End, stack_finals


def final_of(actor: Actor, ends: list[End]) -> Final:
    """Ends as the sparse part of a trajectory, valued in one batch with the state each was seen in."""
    obs = stack_finals(actor.spaces, ends)
    state = {
        path: np.stack([end.state[path] for end in ends]) if ends else leaf
        for path, leaf in actor.initial_state(0).items()
    }
    extra: Tree = {}
    if VALUE in actor.extras:
        extra[VALUE] = _values(actor, state, obs) if ends else np.zeros(0, np.float32)
    row = np.array([end.row for end in ends], np.int32)
    lane = np.array([end.lane for end in ends], np.int32)
    return Final(row, lane, obs, extra, state)


def _values(actor: Actor, state: Tree, obs: Tree) -> np.ndarray:
    if ACTION_MASK in obs:
        # Nothing may be legal after the end; the value doesn't depend on it.
        obs = {**obs, ACTION_MASK: np.ones_like(obs[ACTION_MASK])}
    first = np.zeros(len(next(iter(obs.values()))), bool) if state else None
    return np.asarray(actor.act(obs, state, first, None).extra[VALUE], np.float32)
