"""Actors: a policy with weights, ready to act. Numpy in and numpy out, whatever computes in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.models.deferred import DeferredAssessment
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.policy import Act, NoiseKind, Policy, refuse_rows_without_action

Executor = Literal["auto", "numpy", "torch"]
NUMPY_LIMIT = 300_000
"""Parameters up to which numpy is the faster actor (and importing torch not worth its second)."""


class Actor(Protocol):
    """What a rollout worker, an evaluation and a served policy ask of an executor.

    ``deferred``: the policy as it is loaded, where its extras can be said later than its actions.
    """

    spaces: Spaces
    extras: tuple[str, ...]
    noise_width: int
    version: int
    deferred: DeferredAssessment | None

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """float32 [*shape, noise_width]."""

    def initial_state(self, lanes: int) -> Tree:
        """Zeros [lanes, ...] by path below ``state/``; empty for a policy without memory."""

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """Take a private copy of the weights [size] and of the knobs. Raises ValueError on another size."""

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """One decision for each row; no noise is the mode. Raises ValueError where no action is legal."""


class Definition:
    """What all executors read off a policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.spaces = policy.spaces
        self.extras = policy.extras
        self.noise_width = policy.noise_width
        self.version = -1
        self.deferred: DeferredAssessment | None = None
        self._masked = ACTION_MASK in policy.spaces.obs

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """float32 [*shape, noise_width]."""
        return draw_noise(self.policy.distribution.noise, rng, shape)

    def initial_state(self, lanes: int) -> Tree:
        """Zeros [lanes, ...] by path below ``state/``."""
        return {path: np.zeros((lanes, *shape), np.float32) for path, shape in self.policy.net.state.items()}

    def _check(self, flat: np.ndarray) -> None:
        if flat.shape != (self.policy.layout.size,):
            raise ValueError(
                f"the policy has {self.policy.layout.size} parameters, got weights of shape {flat.shape}: "
                "they belong to another network (model) or other spaces"
            )


class NumpyActor(Definition):
    """Runs a portable policy in numpy."""

    def __init__(self, policy: Policy) -> None:
        if not policy.net.portable:
            raise ValueError(f"{type(policy.net).__name__} is not portable: it needs the torch executor")
        super().__init__(policy)
        self._params: dict[str, np.ndarray] = {}
        self._knobs: dict[str, np.ndarray] = {}

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """See `Actor.load`."""
        self._check(flat)
        mine = np.array(flat, np.float32)
        mine.flags.writeable = False
        self._params = self.policy.layout.views(mine)
        self._knobs = {name: np.array(knob, np.float32) for name, knob in knobs.items()}
        if self.deferred is None:
            self.deferred = DeferredAssessment.of(self.policy, self._params, self._knobs)
        else:
            self.deferred.load(self._params, self._knobs)
        self.version = version

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """See `Actor.act`."""
        if self._masked:
            refuse_rows_without_action(obs[ACTION_MASK], self.spaces.action)
        return self.policy.act(NUMPY, self._params, obs, state, first, noise, self._knobs)


class TorchActor(Definition):
    """Runs any policy in torch, without gradients.

    ``threads`` sets torch's number of threads for the whole process, so it is for processes that only sample;
    None leaves it to whoever shares the process, such as a learner.
    """

    def __init__(self, policy: Policy, threads: int | None = None) -> None:
        import torch

        from rl_platform.models.torch_ops import TORCH

        super().__init__(policy)
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch, self._ops = torch, TORCH
        self._params: dict[str, Any] = {}
        self._knobs: dict[str, Any] = {}

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """See `Actor.load`."""
        self._check(flat)
        self._params = self.policy.layout.views(self._torch.from_numpy(np.array(flat, np.float32)))
        self._knobs = {name: self._tensor(np.array(knob, np.float32)) for name, knob in knobs.items()}
        self.version = version

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """See `Actor.act`."""
        if self._masked:
            refuse_rows_without_action(obs[ACTION_MASK], self.spaces.action)
        with self._torch.inference_mode():
            act = self.policy.act(
                self._ops,
                self._params,
                {path: self._tensor(leaf) for path, leaf in obs.items()},
                {path: self._tensor(leaf) for path, leaf in state.items()},
                None if first is None else self._tensor(first),
                None if noise is None else self._tensor(noise),
                self._knobs,
            )
            return Act(
                act.action.numpy(),
                act.env_action.numpy(),
                {path: leaf.numpy() for path, leaf in act.state.items()},
                {name: leaf.numpy() for name, leaf in act.extra.items()},
            )

    def _tensor(self, leaf: np.ndarray) -> Any:
        # torch warns about arrays that it could not write to; trajectories hand out such rows.
        return self._torch.from_numpy(leaf if leaf.flags.writeable else leaf.copy())


def make_actor(
    policy: Policy, executor: Executor = "auto", threads: int | None = None
) -> NumpyActor | TorchActor:
    """Numpy for portable networks of up to 300,000 parameters without convolutions, otherwise torch.

    ``threads``: see `TorchActor`.
    """
    if executor == "auto":
        convolves = any(leaf.kind == "image" for leaf in policy.spaces.obs.values())
        convolves = convolves or any(len(param.shape) == 4 for param in policy.net.params)
        small = policy.layout.size < NUMPY_LIMIT
        executor = "numpy" if policy.net.portable and small and not convolves else "torch"
    return NumpyActor(policy) if executor == "numpy" else TorchActor(policy, threads)


def draw_noise(
    groups: Sequence[tuple[NoiseKind, int]], rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """float32 [*shape, width]: the column groups (kind, width) of a distribution, side by side."""
    noise = np.empty((*shape, sum(width for _, width in groups)), np.float32)
    start = 0
    for kind, width in groups:
        noise[..., start : start + width] = _draw(kind, rng, (*shape, width))
        start += width
    return noise


def _draw(kind: NoiseKind, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "normal":
        return rng.standard_normal(shape, np.float32)
    if kind == "uniform":
        return rng.random(shape, np.float32)
    # -log of an exponential variable has the Gumbel distribution; the bound keeps the logarithm finite.
    return -np.log(np.maximum(rng.standard_exponential(shape, np.float32), np.float32(1e-30)))
