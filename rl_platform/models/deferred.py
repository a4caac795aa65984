"""Acting now and assessing later: a tick needs an action only.

Log-probabilities and values are for learning; said of a whole fragment at once they cost a few large products
instead of as many small ones as there are ticks. That is had by policies without memory whose network is
dense, with a trunk for the policy apart from the value's, and whose actions are the best of scores and noise.

Shape legend: B rows, N rows of a fragment, A categories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rl_platform.data.tree import ACTION_MASK
from rl_platform.models.distributions import POLICY_HEAD
from rl_platform.models.head_reader import HeadReader
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.ops import Array, Ops
from rl_platform.models.policy import Act, Knobs, Policy, legal, refuse_rows_without_action

SCORES = "scores"
"""What `DeferredAssessment.choose` says besides the action: [B, A]."""
ROWS_AT_ONCE = 2048
"""So that what a layer gives to the next stays in the processor's cache."""


@runtime_checkable
class BestOfScores(Protocol):
    """A distribution whose actions need no normalised scores."""

    def best(self, ops: Ops, scores: Array, noise: Array | None) -> Array:
        """The action of scores [B, A] of legal actions, with noise [B, A] added."""


@dataclass(slots=True)
class DeferredAssessment:
    """A policy with weights and knobs, in numpy."""

    policy: Policy
    chooser: BestOfScores
    knobs: Knobs
    scoring: HeadReader
    valuing: HeadReader

    @staticmethod
    def of(policy: Policy, params: Mapping[str, np.ndarray], knobs: Knobs) -> DeferredAssessment | None:
        """None for a policy that has to say everything at once."""
        dense, chooser = policy.dense, policy.distribution
        if dense is None or policy.value is None or not isinstance(chooser, BestOfScores):
            return None
        trunks = {head.name: head.trunk for head in dense.heads}
        if trunks.keys() != {POLICY_HEAD, policy.value} or len(set(trunks.values())) < len(trunks):
            return None
        readers = [HeadReader(dense, name, params) for name in (POLICY_HEAD, policy.value)]
        return DeferredAssessment(policy, chooser, knobs, *readers)

    def load(self, params: Mapping[str, np.ndarray], knobs: Knobs) -> None:
        """Assess by these from now on."""
        self.knobs = knobs
        for reader in (self.scoring, self.valuing):
            reader.load(params)

    @property
    def scores(self) -> int:
        """How many there are for a row."""
        return self.scoring.size

    def choose(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """As `Actor.act`, with scores [B, A] for extras."""
        del state, first
        seen, mask = self.policy.filter(NUMPY, obs, self.knobs)
        if mask is not None:
            refuse_rows_without_action(mask, self.policy.spaces.action)
        scores = legal(NUMPY, self.scoring.read(seen), mask)
        action = self.chooser.best(NUMPY, scores, noise)
        return Act(action, self.policy.distribution.to_env(NUMPY, action), {}, {SCORES: scores})

    def log_probability(self, action: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """[N], of actions [N, ...] that were chosen by scores [N, A]."""
        said: np.ndarray = self.policy.distribution.log_probability(
            NUMPY, {}, {POLICY_HEAD: scores}, None, action
        )
        return said

    def value(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[N], of observations [N, ...]."""
        plain = {path: leaf for path, leaf in obs.items() if path != ACTION_MASK}
        count = len(next(iter(plain.values())))
        values = np.empty(count, np.float32)
        for start in range(0, count, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            seen, _ = self.policy.filter(
                NUMPY, {path: leaf[rows] for path, leaf in plain.items()}, self.knobs
            )
            values[rows] = self.valuing.read(seen)[:, 0]
        return values
