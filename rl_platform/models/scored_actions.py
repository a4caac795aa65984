"""What a distribution says of stored actions, in numpy, and how its gradients flow back to the heads.

With p_j the probability of action j, H the entropy and a the action of a row:

    categorical   d log p_a / d logit_j = [j = a] - p_j        dH / d logit_j = -p_j (log p_j + H)
    normal        d log p / d mean = z / s                     dH / d mean = 0
                  d log p / d log s = z^2 - 1                  dH / d log s = 1       with z = (a - mean) / s

An illegal action has probability 0, so nothing flows to its score.
Shape legend: N rows, A categories, D action components.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.distributions import POLICY_HEAD, Categorical, DiagGaussian, MultiCategorical
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.policy import Distribution, Heads


class ScoredActions(Protocol):
    """One minibatch of actions [N, ...] under the present parameters."""

    @property
    def log_probability(self) -> np.ndarray:
        """[N], summed over action components."""

    @property
    def entropy(self) -> np.ndarray:
        """[N], over legal actions."""

    def gradient(self, log_probability: np.ndarray, entropy: float) -> Tree:
        """The gradient of sum_n log_probability_n log p_n + entropy sum_n H_n, by head and parameter."""


class ScoredChoices:
    """D independent choices, their scores side by side; a plain categorical is D = 1."""

    def __init__(self, heads: Heads, action: np.ndarray, sizes: tuple[int, ...]) -> None:
        scores = heads.legal(POLICY_HEAD)
        parts = [scores] if len(sizes) == 1 else NUMPY.split(scores, sizes)
        self._action = action[:, None] if action.ndim == 1 else action
        self._logp = [NUMPY.log_softmax(part) for part in parts]
        self._row = _row_numbers(len(action))
        chosen = [logp[self._row, self._action[:, i]] for i, logp in enumerate(self._logp)]
        self.log_probability: np.ndarray = chosen[0] if len(chosen) == 1 else np.add.reduce(chosen)
        self._probability: list[np.ndarray] = []

    @property
    def entropy(self) -> np.ndarray:
        total: np.ndarray = np.add.reduce([self._entropy_of(i) for i in range(len(self._logp))])
        return total

    def gradient(self, log_probability: np.ndarray, entropy: float) -> Tree:
        parts = [self._gradient_of(i, log_probability, entropy) for i in range(len(self._logp))]
        return {POLICY_HEAD: parts[0] if len(parts) == 1 else np.concatenate(parts, -1)}

    def _gradient_of(self, i: int, log_probability: np.ndarray, entropy: float) -> np.ndarray:
        p = self._p(i)
        gradient: np.ndarray = p * -log_probability[:, None]
        gradient[self._row, self._action[:, i]] += log_probability
        if entropy:
            gradient -= np.float32(entropy) * p * (self._logp[i] + self._entropy_of(i)[:, None])
        return gradient

    def _entropy_of(self, i: int) -> np.ndarray:
        negative: np.ndarray = np.add.reduce(self._p(i) * self._logp[i], -1)
        return -negative

    def _p(self, i: int) -> np.ndarray:
        if not self._probability:
            self._probability = [np.exp(logp) for logp in self._logp]
        return self._probability[i]


class ScoredNormals:
    """D independent normals with deviations that do not depend on the observation."""

    def __init__(self, heads: Heads, action: np.ndarray) -> None:
        mean, log_std = heads[POLICY_HEAD], heads.params["log_std"]
        self._precision = np.exp(-log_std)
        self._z = (action.reshape(mean.shape) - mean) * self._precision
        self.log_probability = heads.log_probability(action)
        self._heads = heads

    @property
    def entropy(self) -> np.ndarray:
        entropy: np.ndarray = self._heads.entropy()
        return entropy

    def gradient(self, log_probability: np.ndarray, entropy: float) -> Tree:
        z = self._z
        by_mean = z * self._precision
        by_mean *= log_probability[:, None]
        by_log_std = log_probability @ (z * z - np.float32(1)) + np.float32(entropy * len(z))
        return {POLICY_HEAD: by_mean, "log_std": by_log_std}


def score(heads: Heads, action: np.ndarray) -> ScoredActions:
    """Stored actions [N, ...] under numpy heads, for any distribution that `has_scores`."""
    distribution = heads.policy.distribution
    if isinstance(distribution, DiagGaussian):
        return ScoredNormals(heads, action)
    assert isinstance(distribution, Categorical | MultiCategorical)
    return ScoredChoices(heads, action, tuple(distribution.space.categories))


def has_scores(distribution: Distribution) -> bool:
    """Whether `score` knows it; otherwise gradients are left to autograd."""
    return isinstance(distribution, Categorical | MultiCategorical | DiagGaussian)


@lru_cache(maxsize=64)
def _row_numbers(count: int) -> np.ndarray:
    return np.arange(count)
