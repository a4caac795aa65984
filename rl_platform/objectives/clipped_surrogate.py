"""The parts of PPO's loss with their gradients, in numpy (Schulman et al. 2017, 1707.06347).

Shape legend: N rows of a minibatch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Surrogate(NamedTuple):
    """The clipped objective as a loss, its gradient by log-probability [N], and how far the policy moved."""

    loss: float
    gradient: np.ndarray
    approx_kl: float  # Schulman's k3 estimator
    clip_fraction: float


def clipped_surrogate(
    log_probability: np.ndarray, old: np.ndarray, advantage: np.ndarray, clip: float
) -> Surrogate:
    """-mean min(r A, clip(r) A) with r = exp(log_probability - old); all [N].

    d(r A) / d log_probability = r A, and nothing flows where the clipped term is the smaller one.
    """
    rows = np.float32(len(advantage))
    log_ratio = log_probability - old
    ratio = np.exp(log_ratio)
    gain = ratio * advantage
    clipped = np.minimum(np.maximum(ratio, np.float32(1 - clip)), np.float32(1 + clip))
    outside = np.count_nonzero(clipped != ratio)
    clipped *= advantage
    free = gain <= clipped
    loss = -np.add.reduce(np.minimum(gain, clipped, out=clipped)) / rows
    gain *= free
    gain /= -rows
    ratio -= np.float32(1)
    ratio -= log_ratio
    return Surrogate(float(loss), gain, float(np.add.reduce(ratio) / rows), outside / len(advantage))


def value_regression(
    value: np.ndarray, target: np.ndarray, old: np.ndarray | None = None, clip: float | None = None
) -> tuple[float, np.ndarray]:
    """Half the mean squared error and its gradient by ``value`` [N].

    With ``clip`` the larger one of it and the error of old + clip(value - old) counts for each row.
    """
    rows = np.float32(len(value))
    error = value - target
    if clip is not None and old is not None:
        moved = np.minimum(np.maximum(value - old, np.float32(-clip)), np.float32(clip))
        near = old + moved - target
        farther = near * near > error * error
        inside = np.abs(value - old) <= clip
        loss = float(0.5 * np.add.reduce(np.where(farther, near * near, error * error)) / rows)
        return loss, np.where(farther, near * inside, error) / rows
    loss = float(0.5 * error.dot(error) / rows)
    error /= rows
    return loss, error


def standardized(values: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 [N], as torch counts it (N - 1); a single row stays as it is."""
    if len(values) < 2:
        return values
    centred: np.ndarray = values - np.add.reduce(values) / np.float32(len(values))
    centred /= np.float32((centred.dot(centred) / (len(values) - 1)) ** 0.5 + 1e-8)
    return centred
