"""Action values from the heads of a network: one head, or the two of a dueling network (Wang et al. 2016,
1511.06581, equation 9):

    Q(s, a) = V(s) + A(s, a) - mean over a' of A(s, a')

Shape legend: N rows, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.ops import Array, Ops

Q_HEAD, ADVANTAGE_HEAD, STATE_VALUE_HEAD = "q", "advantage", "state_value"


def value_heads(actions: int, dueling: bool) -> dict[str, int]:
    """Name → size of the heads that `action_values` reads."""
    return {ADVANTAGE_HEAD: actions, STATE_VALUE_HEAD: 1} if dueling else {Q_HEAD: actions}


def action_values(ops: Ops, heads: Mapping[str, Array]) -> Array:
    """[N, A]. The mean is over all actions, also those that a mask forbids."""
    if Q_HEAD in heads:
        return heads[Q_HEAD]
    advantage, value = heads[ADVANTAGE_HEAD], heads[STATE_VALUE_HEAD]
    return value + advantage - ops.mean(advantage, -1)[..., None]


def by_heads(heads: Mapping[str, np.ndarray], by_q: np.ndarray) -> Tree:
    """The gradient of a loss at the heads, from that at the action values [N, A]."""
    if Q_HEAD in heads:
        return {Q_HEAD: by_q}
    total = np.add.reduce(by_q, -1, keepdims=True)
    return {ADVANTAGE_HEAD: by_q - total / np.float32(by_q.shape[-1]), STATE_VALUE_HEAD: total}
