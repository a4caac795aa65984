"""From heads to actions: one distribution for each kind of action space, and a greedy one for action values.

Noise is an argument, so sampling is a pure function; zero noise is the mode in every one of them.
Shape legend: B rows, N rows of a batch, A categories, D action components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import e, log, pi

import numpy as np

from rl_platform.data.spaces import ActionSpace
from rl_platform.models.action_values import action_values, value_heads
from rl_platform.models.net import Param
from rl_platform.models.ops import Array, Ops
from rl_platform.models.policy import Distribution, Knobs, NoiseKind, legal

POLICY_HEAD = "policy"
VALUE_HEAD = "value"
UNBOUNDED = 1e30
EPSILON = "epsilon"
ACTION_VALUE, BEST_VALUE = "action_value", "value"

Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class Categorical:
    """One of A actions, sampled by the Gumbel-max trick: arg max of the head + Gumbel noise."""

    space: ActionSpace
    stochastic: bool = True
    params: Sequence[Param] = ()

    @cached_property
    def heads(self) -> Mapping[str, int]:
        return {POLICY_HEAD: self.space.categories[0]}

    @cached_property
    def noise(self) -> Sequence[tuple[NoiseKind, int]]:
        return (("gumbel", self.space.categories[0]),)

    def act(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, noise: Array | None, knobs: Knobs
    ) -> tuple[Array, dict[str, Array]]:
        scores = legal(ops, heads[POLICY_HEAD], mask)
        action = self.best(ops, scores, noise)
        return action, {"log_probability": ops.take(ops.log_softmax(scores), action)}

    def best(self, ops: Ops, scores: Array, noise: Array | None) -> Array:
        """The action [B] for scores of legal actions [B, A]: a common term of theirs makes no difference."""
        return ops.argmax(scores if noise is None else scores + noise)

    def log_probability(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, action: Array
    ) -> Array:
        return ops.take(ops.log_softmax(legal(ops, heads[POLICY_HEAD], mask)), action)

    def entropy(self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None) -> Array:
        return _entropy(ops, ops.log_softmax(legal(ops, heads[POLICY_HEAD], mask)))

    def to_env(self, ops: Ops, action: Array) -> Array:
        return _add_start(ops, self.space, action)


@dataclass(frozen=True)
class MultiCategorical:
    """D independent choices; logits, noise and mask of all components lie side by side in the last axis."""

    space: ActionSpace
    stochastic: bool = True
    params: Sequence[Param] = ()

    @cached_property
    def heads(self) -> Mapping[str, int]:
        return {POLICY_HEAD: sum(self.space.categories)}

    @cached_property
    def noise(self) -> Sequence[tuple[NoiseKind, int]]:
        return (("gumbel", sum(self.space.categories)),)

    def act(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, noise: Array | None, knobs: Knobs
    ) -> tuple[Array, dict[str, Array]]:
        scores = legal(ops, heads[POLICY_HEAD], mask)
        action = self.best(ops, scores, noise)
        parts = self._log_probabilities(ops, heads, mask)
        return action, {"log_probability": self._total(ops, parts, action)}

    def best(self, ops: Ops, scores: Array, noise: Array | None) -> Array:
        """The action [B, D] for scores of legal actions [B, A]."""
        parts = ops.split(scores if noise is None else scores + noise, self.space.categories)
        return ops.stack([ops.argmax(part) for part in parts], -1)

    def log_probability(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, action: Array
    ) -> Array:
        return self._total(ops, self._log_probabilities(ops, heads, mask), action)

    def entropy(self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None) -> Array:
        parts = self._log_probabilities(ops, heads, mask)
        return ops.sum(ops.stack([_entropy(ops, logp) for logp in parts], -1), -1)

    def to_env(self, ops: Ops, action: Array) -> Array:
        return _add_start(ops, self.space, action)

    def _log_probabilities(self, ops: Ops, heads: Tensors, mask: Array | None) -> list[Array]:
        logits = legal(ops, heads[POLICY_HEAD], mask)
        return [ops.log_softmax(part) for part in ops.split(logits, self.space.categories)]

    def _total(self, ops: Ops, parts: Sequence[Array], action: Array) -> Array:
        return ops.sum(ops.stack([ops.take(logp, action[..., i]) for i, logp in enumerate(parts)], -1), -1)


@dataclass(frozen=True)
class DiagGaussian:
    """D independent normals: the head is the mean, the logarithm of the deviation a parameter of its own.

    Actions are stored unclipped; on the way to the environment [-1, 1] becomes [low, high] where a component
    has both bounds, and every component is clipped to the bounds it has. Bounds beyond ±1e30 count as none.
    """

    space: ActionSpace
    log_std: float = 0.0
    stochastic: bool = True

    @cached_property
    def heads(self) -> Mapping[str, int]:
        return {POLICY_HEAD: self.space.size}

    @cached_property
    def params(self) -> Sequence[Param]:
        return (Param("log_std", (self.space.size,), "constant", self.log_std),)

    @cached_property
    def noise(self) -> Sequence[tuple[NoiseKind, int]]:
        return (("normal", self.space.size),)

    def act(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, noise: Array | None, knobs: Knobs
    ) -> tuple[Array, dict[str, Array]]:
        mean, log_std = heads[POLICY_HEAD], params["log_std"]
        if noise is None:
            noise = mean * 0.0
        action = mean + ops.exp(log_std) * noise
        return ops.reshape(action, (-1, *self.space.shape)), {
            "log_probability": self._density(ops, noise, log_std)
        }

    def log_probability(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, action: Array
    ) -> Array:
        log_std = params["log_std"]
        flat = ops.reshape(action, (-1, self.space.size))
        return self._density(ops, (flat - heads[POLICY_HEAD]) * ops.exp(-log_std), log_std)

    def entropy(self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None) -> Array:
        return ops.sum(params["log_std"] + heads[POLICY_HEAD] * 0.0 + 0.5 * log(2 * pi * e), -1)

    def to_env(self, ops: Ops, action: Array) -> Array:
        scale, centre, low, high = self._bounds
        if scale is not None:
            action = action * ops.constant(scale, action) + ops.constant(centre, action)
        return (
            action if low is None else ops.clip(action, ops.constant(low, action), ops.constant(high, action))
        )

    def _density(self, ops: Ops, z: Array, log_std: Array) -> Array:
        return ops.sum(z * z * -0.5 - log_std - 0.5 * log(2 * pi), -1)

    @cached_property
    def _bounds(self) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Scale and centre (None: identity), low and high (None: no bounds), in the action's shape."""
        low, high = np.array(self.space.low, np.float64), np.array(self.space.high, np.float64)
        low, high = np.where(low < -UNBOUNDED, -np.inf, low), np.where(high > UNBOUNDED, np.inf, high)
        both = np.isfinite(low) & np.isfinite(high)
        span, middle = np.where(both, high, 1.0) - np.where(both, low, -1.0), np.zeros_like(low)
        middle[both] = (high[both] + low[both]) / 2

        def shaped(x: np.ndarray) -> np.ndarray:
            return x.reshape(self.space.shape).astype(np.float32)

        affine = bool(np.any(span != 2.0) or np.any(middle != 0.0))
        bounded = bool(np.any(np.isfinite(low) | np.isfinite(high)))
        scale, centre = (shaped(span / 2), shaped(middle)) if affine else (None, None)
        return (scale, centre, shaped(low), shaped(high)) if bounded else (scale, centre, None, None)


@dataclass(frozen=True)
class EpsilonGreedy:
    """The action of the highest value, or with probability ``epsilon`` (a knob) a legal one drawn evenly.

    Noise: one uniform column that decides whether to explore (0 never does), A Gumbel columns that choose.
    """

    space: ActionSpace
    dueling: bool = False  # values from the two heads of a dueling network
    scored: bool = False  # say the values of what is done and of what is best
    stochastic: bool = False
    params: Sequence[Param] = ()

    @cached_property
    def heads(self) -> Mapping[str, int]:
        return value_heads(self.space.categories[0], self.dueling)

    @property
    def extras(self) -> tuple[str, ...]:
        """What it says of each row besides the action."""
        return (ACTION_VALUE, BEST_VALUE) if self.scored else ()

    @cached_property
    def noise(self) -> Sequence[tuple[NoiseKind, int]]:
        return (("uniform", 1), ("gumbel", self.space.categories[0]))

    def act(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, noise: Array | None, knobs: Knobs
    ) -> tuple[Array, dict[str, Array]]:
        values = legal(ops, action_values(ops, heads), mask)
        action = ops.argmax(values)
        if noise is not None:
            explore = noise[..., 0] > 1.0 - knobs[EPSILON]
            drawn = ops.argmax(legal(ops, noise[..., 1:], mask))
            action = ops.where(explore, drawn, action)
        if not self.scored:
            return action, {}
        return action, {ACTION_VALUE: ops.take(values, action), BEST_VALUE: ops.max(values, -1)}

    def log_probability(
        self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None, action: Array
    ) -> Array:
        raise TypeError("an epsilon-greedy policy has no log-probability; use a stochastic distribution")

    def entropy(self, ops: Ops, params: Tensors, heads: Tensors, mask: Array | None) -> Array:
        raise TypeError("an epsilon-greedy policy has no entropy; use a stochastic distribution")

    def to_env(self, ops: Ops, action: Array) -> Array:
        return _add_start(ops, self.space, action)


def epsilon_greedy(space: ActionSpace, dueling: bool = False, scored: bool = False) -> EpsilonGreedy:
    """The greedy distribution of an action space. Raises ValueError for anything but a discrete one."""
    if space.kind != "discrete":
        raise ValueError(
            f"action space {space.kind} has no greedy policy over action values; "
            "expected discrete (use an algorithm with a stochastic policy, such as ppo)"
        )
    return EpsilonGreedy(space, dueling, scored)


def distribution_for(space: ActionSpace) -> Distribution:
    """The stochastic distribution of an action space."""
    if space.kind == "discrete":
        return Categorical(space)
    if space.kind == "multi_discrete":
        return MultiCategorical(space)
    return DiagGaussian(space)


def _entropy(ops: Ops, logp: Array) -> Array:
    # An illegal action has probability 0 and a finite log-probability: it adds nothing.
    return -ops.sum(ops.exp(logp) * logp, -1)


def _add_start(ops: Ops, space: ActionSpace, action: Array) -> Array:
    if not any(space.start):
        return action
    start = space.start[0] if space.kind == "discrete" else ops.constant(np.array(space.start), action)
    return action + start
