"""A policy: spaces + observation filter + network + distribution + action transform, as one pure function.

`Policy.act` is what a rollout worker, an evaluation, a served model and an ONNX graph all run. Noise is an
argument; without noise the answer is the mode. `Policy.heads` is what objectives differentiate.

Shape legend: B rows, T steps of a sequence, N valid rows of a batch, A categories or action components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np

from rl_platform.data.spaces import ActionSpace, Spaces
from rl_platform.data.tree import ACTION_MASK, STATE
from rl_platform.models.action_values import action_values
from rl_platform.models.dense import DenseLayers
from rl_platform.models.net import Layout, Net, Param
from rl_platform.models.ops import Array, Ops

NoiseKind = Literal["gumbel", "normal", "uniform"]
Knobs = Mapping[str, Array]
"""Published values that are not trained: ``epsilon``, ``filter/<obs path>/mean`` and ``.../scale``."""


ILLEGAL = -1e9
FILTER_LIMIT = 10.0
"""Filtered observations are clipped to so many standard deviations."""


class Act(NamedTuple):
    """One decision per row."""

    action: Array  # as stored and learned from
    env_action: Array  # as the environment wants it
    state: dict[str, Array]
    extra: dict[str, Array]  # [B] each


class Distribution(Protocol):
    """How heads become actions, for one kind of action space. Parameters it owns are listed in ``params``."""

    @property
    def heads(self) -> Mapping[str, int]:
        """Name → size of the network heads it reads."""

    @property
    def params(self) -> Sequence[Param]:
        """Its own parameters, e.g. a state-independent log standard deviation."""

    @property
    def noise(self) -> Sequence[tuple[NoiseKind, int]]:
        """Column groups of the noise argument, in order."""

    @property
    def stochastic(self) -> bool:
        """Whether it has log_probability and entropy (a greedy value policy has neither)."""

    def act(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        heads: Mapping[str, Array],
        mask: Array | None,
        noise: Array | None,
        knobs: Knobs,
    ) -> tuple[Array, dict[str, Array]]:
        """Action [B, ...] and extras [B] (``log_probability`` where stochastic). Noise None = the mode."""

    def log_probability(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        heads: Mapping[str, Array],
        mask: Array | None,
        action: Array,
    ) -> Array:
        """[N], summed over action components."""

    def entropy(
        self, ops: Ops, params: Mapping[str, Array], heads: Mapping[str, Array], mask: Array | None
    ) -> Array:
        """[N], over legal actions only."""

    def to_env(self, ops: Ops, action: Array) -> Array:
        """Start offsets added, Box rescaled from [-1, 1] and clipped to its bounds."""


@dataclass(frozen=True)
class Policy:
    """The definition of a policy, without weights. ``value`` names the head that is a state value, if any."""

    spaces: Spaces
    net: Net
    distribution: Distribution
    value: str | None = None
    filtered: tuple[str, ...] = ()  # obs paths with a running mean/variance filter
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout([*self.net.params, *self.distribution.params]))

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of what `act` says per row besides the action."""
        stochastic = ("log_probability",) if self.distribution.stochastic else ()
        own: tuple[str, ...] = getattr(self.distribution, "extras", stochastic)
        return own + (("value",) if self.value else ())

    @property
    def noise_width(self) -> int:
        return sum(width for _, width in self.distribution.noise)

    @property
    def recurrent(self) -> bool:
        return bool(self.net.state)

    @property
    def dense(self) -> DenseLayers | None:
        """The network as dense layers, where it says that it is nothing else."""
        found = getattr(self.net, "dense", None)
        return found if isinstance(found, DenseLayers) else None

    def act(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        obs: Mapping[str, Array],
        state: Mapping[str, Array],
        first: Array | None,
        noise: Array | None,
        knobs: Knobs,
    ) -> Act:
        """One step for B rows; ``obs`` is raw, as the environment gave it."""
        seen, mask = self.filter(ops, obs, knobs)
        heads, state_next = self.net.forward(ops, params, seen, state, first)
        action, extra = self.distribution.act(ops, params, heads, mask, noise, knobs)
        if self.value:
            extra["value"] = heads[self.value][..., 0]
        return Act(action, self.distribution.to_env(ops, action), state_next, extra)

    def filter(
        self, ops: Ops, obs: Mapping[str, Array], knobs: Knobs
    ) -> tuple[dict[str, Array], Array | None]:
        """Filtered leaves for the network, and the action mask apart."""
        seen = {path: leaf for path, leaf in obs.items() if path != ACTION_MASK}
        for path in self.filtered:
            leaf = seen[path]
            centred = leaf - ops.constant(knobs[f"filter/{path}/mean"], leaf)
            scaled = centred * ops.constant(knobs[f"filter/{path}/scale"], leaf)
            seen[path] = ops.clip(scaled, -FILTER_LIMIT, FILTER_LIMIT)
        return seen, obs.get(ACTION_MASK)

    def heads(
        self, params: Mapping[str, Array], batch: Mapping[str, Array], knobs: Knobs, prefix: str = ""
    ) -> Heads:
        """What the network says of a batch of torch tensors, differentiable in ``params``.

        Rows: observation leaves [N, ...] under ``prefix`` + path (``next/`` reads the observation
        afterwards). Recurrent: leaves [T, S, ...], ``state/<path>`` [S, ...], ``first`` and ``valid`` bool
        [T, S]; heads and mask come back flattened over the valid rows, in row-major order, to [N, ...].
        """
        from rl_platform.models.torch_ops import TORCH

        obs = {path: batch[prefix + path] for path in self.spaces.obs}
        seen, mask = self.filter(TORCH, obs, knobs)
        if not self.net.state:
            return Heads(self, TORCH, params, self._torch_heads(params, seen), mask)
        state = {path: batch[f"{STATE}/{path}"] for path in self.net.state}
        heads, _ = self.net.forward(TORCH, params, seen, state, batch["first"])
        valid = batch["valid"]
        heads = {name: _valid_rows(head, valid) for name, head in heads.items()}
        return Heads(self, TORCH, params, heads, None if mask is None else _valid_rows(mask, valid))

    def _torch_heads(self, params: Mapping[str, Array], seen: Mapping[str, Array]) -> Mapping[str, Array]:
        from rl_platform.models.dense_autograd import applies, dense_heads
        from rl_platform.models.torch_ops import TORCH

        dense = self.dense
        if dense is not None:
            features = dense.encoder.encode(TORCH, params, seen)
            if applies([params[path] for path in dense.paths], features):

                def plain(leaves: Sequence[Array]) -> list[Array]:
                    named = dict(zip(dense.paths, leaves, strict=True))
                    return list(self.net.forward(TORCH, named, seen, {}, None)[0].values())

                return dense_heads(dense, params, features, plain)
        return self.net.forward(TORCH, params, seen, {}, None)[0]


def legal(ops: Ops, scores: Array, mask: Array | None) -> Array:
    """Scores [..., A] with those of illegal actions pushed below anything that noise could lift."""
    return scores if mask is None else ops.where(ops.cast(mask, "bool"), scores, ILLEGAL)


def refuse_rows_without_action(mask: np.ndarray, space: ActionSpace) -> None:
    """Raises ValueError naming the first row whose mask [B, A] leaves a component without a legal action."""
    some = space.left_by(mask)
    if not some.all():
        row = int(np.argmin(some))
        raise ValueError(
            f"{ACTION_MASK} has no legal action in row {row} of {len(mask)} ({mask[row].tolist()}); "
            "expected at least one 1 for each action component"
        )


@dataclass(frozen=True, slots=True)
class Heads:
    """A policy's heads for N rows, as objectives read them: ``heads["value"]`` is [N, size].

    Torch tensors that are differentiable in the parameters, or numpy arrays (see `ops`).
    """

    policy: Policy
    ops: Ops
    params: Mapping[str, Array]
    by_name: Mapping[str, Array]
    mask: Array | None  # [N, A] where actions are masked

    def __getitem__(self, name: str) -> Array:
        return self.by_name[name]

    def legal(self, name: str) -> Array:
        """The head [N, A] with the scores of illegal actions at -1e9."""
        return legal(self.ops, self.by_name[name], self.mask)

    def action_values(self) -> Array:
        """[N, A], from one head or from those of a dueling network."""
        return action_values(self.ops, self.by_name)

    def legal_action_values(self) -> Array:
        """The same with illegal actions at -1e9."""
        return legal(self.ops, self.action_values(), self.mask)

    def log_probability(self, action: Array) -> Array:
        """[N], of stored actions [N, ...]."""
        distribution = self.policy.distribution
        return distribution.log_probability(self.ops, self.params, self.by_name, self.mask, action)

    def entropy(self) -> Array:
        """[N], over legal actions."""
        return self.policy.distribution.entropy(self.ops, self.params, self.by_name, self.mask)


def _valid_rows(leaf: Array, valid: Array) -> Array:
    """[T, S, ...] → [N, ...]; indexing is skipped where every row is valid, because its gradient is slow."""
    flat = leaf.reshape(-1, *leaf.shape[2:])
    rows = valid.reshape(-1).nonzero().squeeze(1)
    return flat if len(rows) == len(flat) else flat.index_select(0, rows)
