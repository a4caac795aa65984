"""The Huber loss with its gradient, in numpy (Huber 1964): quadratic to a distance of 1, then linear."""

from __future__ import annotations

import numpy as np


def huber(error: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Mean loss of errors [N] and its gradient [N], by which errors beyond 1 all pull alike.

    With c = clip(e, -1, 1) the loss is c (e - c / 2) on both sides of 1; ``weight`` [N] multiplies it.
    """
    rows = np.float32(len(error))
    clipped = np.minimum(np.maximum(error, np.float32(-1)), np.float32(1))
    excess = error - np.float32(0.5) * clipped
    if weight is not None:
        clipped *= weight
    loss = float(clipped.dot(excess) / rows)
    clipped /= rows
    return loss, clipped
