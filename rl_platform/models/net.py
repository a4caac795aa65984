"""What a network is: its parameters, its recurrent state, and one forward function.

Parameters live in one flat float32 vector. A `Layout` names the slices, so weights are published, saved,
clipped and optimised as that vector, and a network sees them as views by path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.ops import Array, Ops


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter: path, shape, and how it starts.

    ``orthogonal`` treats all but the last axis as rows, scaled by ``gain``. A leading stack axis is
    initialised slice by slice when ``stacked``; a last axis that holds several matrices side by side, block
    by block (``blocks``); ``outputs="first"`` takes the first axis as the outputs (convolutions).
    ``constant`` fills with ``gain``; ``uniform`` draws from [-gain, gain]; ``lstm_bias`` is 0 for gates i, g
    and o and 1 for f (Gers et al. 2000: a new LSTM remembers).
    """

    path: str
    shape: tuple[int, ...]
    init: Literal["orthogonal", "constant", "uniform", "lstm_bias"] = "constant"
    gain: float = 0.0
    stacked: bool = False
    blocks: int = 1
    outputs: Literal["first", "last"] = "last"


class Net(Protocol):
    """A network. Sizes and parameters are fixed at construction; forward is pure."""

    @property
    def portable(self) -> bool:
        """Whether forward uses only `Ops`; otherwise it runs under torch alone."""

    @property
    def params(self) -> Sequence[Param]:
        """All parameters, in the order of the flat vector."""

    @property
    def state(self) -> Mapping[str, tuple[int, ...]]:
        """Path below ``state/`` → shape per lane, float32; empty: not recurrent."""

    def forward(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        obs: Mapping[str, Array],
        state: Mapping[str, Array],
        first: Array,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Heads by name and the next state.

        One step: obs leaves [B, ...], state leaves [B, ...], first bool [B] (zeroes the state before the
        step). Sequences (recurrent, torch only): obs leaves [T, B, ...], first [T, B]; heads come back as
        [T, B, ...].
        ``obs`` is already filtered and has no action mask. ``first`` may be None where the state needs no
        reset.
        """


class Layout:
    """Where each parameter lies in the flat vector."""

    def __init__(self, params: Sequence[Param]) -> None:
        self.params = tuple(params)
        paths = [param.path for param in self.params]
        if len(set(paths)) != len(paths):
            raise ValueError(f"parameter paths must be unique, got {sorted(paths)}")
        sizes = [int(np.prod(param.shape, dtype=np.int64)) for param in self.params]
        ends = np.cumsum([0, *sizes])
        self.slices = {path: slice(int(ends[i]), int(ends[i + 1])) for i, path in enumerate(paths)}
        self.size = int(ends[-1])

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {param.path: param.shape for param in self.params}

    def views(self, flat: Array) -> dict[str, Array]:
        """Views by path into a flat numpy array or torch tensor [size]."""
        return {path: flat[where].reshape(self.shapes[path]) for path, where in self.slices.items()}

    def initial(self, seed: int) -> np.ndarray:
        """A fresh flat vector; each parameter has a random stream of its own, keyed by (seed, position)."""
        flat = np.zeros(self.size, np.float32)
        for position, param in enumerate(self.params):
            rng = np.random.Generator(np.random.Philox(key=[seed, position]))
            flat[self.slices[param.path]] = _draw(param, rng).ravel()
        return flat


def _draw(param: Param, rng: np.random.Generator) -> np.ndarray:
    if param.init == "constant":
        return np.full(param.shape, param.gain, np.float32)
    if param.init == "uniform":
        return rng.uniform(-param.gain, param.gain, param.shape).astype(np.float32)
    if param.init == "lstm_bias":
        return np.repeat(np.array([0, 1, 0, 0], np.float32), param.shape[0] // 4)
    if param.stacked:
        return np.stack([_orthogonal(param.shape[1:], param.gain, rng) for _ in range(param.shape[0])])
    if param.outputs == "first":
        rows_last = _orthogonal((*param.shape[1:], param.shape[0]), param.gain, rng)
        return np.moveaxis(rows_last, -1, 0)
    block = (*param.shape[:-1], param.shape[-1] // param.blocks)
    return np.concatenate([_orthogonal(block, param.gain, rng) for _ in range(param.blocks)], axis=-1)


def _orthogonal(shape: tuple[int, ...], gain: float, rng: np.random.Generator) -> np.ndarray:
    """Saxe et al. 2013 (1312.6120), by the QR decomposition of a Gaussian matrix with signs made unique."""
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(np.float32)


__all__ = ["Layout", "Net", "Param", "Tree"]
