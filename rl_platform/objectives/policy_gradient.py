"""The policy gradient with given advantages, as a loss in numpy (Williams 1992; Sutton et al. 2000)."""

from __future__ import annotations

import numpy as np


def policy_gradient(log_probability: np.ndarray, advantage: np.ndarray) -> tuple[float, np.ndarray]:
    """-mean(A log p) and its gradient -A / N by ``log_probability``; all [N]."""
    gradient = advantage / np.float32(-len(advantage))
    return float(gradient.dot(log_probability)), gradient
