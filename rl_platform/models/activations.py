"""Activations in place, with the way back through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from rl_platform.models.numpy_ops import gelu_parts, sigmoid

ONE = np.float32(1)


@dataclass(frozen=True, slots=True)
class Activation:
    """A function f, element by element.

    ``apply(a, slope)`` writes f(a) over ``a`` and, where room is given, f'(a) into ``slope``.
    ``through(h, slope, delta)`` is asked once for each memory; what it returns is called at each pass and
    turns ``delta`` from the gradient by h = f(a) to the one by a. ``keeps_slope``: it reads ``slope``.
    """

    apply: Callable[[np.ndarray, np.ndarray | None], None]
    through: Callable[[np.ndarray, np.ndarray | None, np.ndarray], Callable[[], Any]]
    keeps_slope: bool


def _tanh(a: np.ndarray, slope: np.ndarray | None) -> None:
    np.tanh(a, out=a)


def _relu(a: np.ndarray, slope: np.ndarray | None) -> None:
    # Numpy compares with an array of zeros three times as fast as with the number.
    np.maximum(a, _zeros(a.shape), out=a)


def _silu(a: np.ndarray, slope: np.ndarray | None) -> None:
    """f = a s with the sigmoid s, f' = s + f (1 - s)."""
    s = sigmoid(a)
    np.multiply(a, s, out=a)
    if slope is not None:
        np.subtract(ONE, s, out=slope)
        np.multiply(slope, a, out=slope)
        np.add(slope, s, out=slope)


def _gelu(a: np.ndarray, slope: np.ndarray | None) -> None:
    """f = a P and f' = P + a p with the normal distribution P and its density p."""
    below, density = gelu_parts(a)
    if slope is not None:
        np.multiply(a, density, out=slope)
        np.add(slope, below, out=slope)
    np.multiply(a, below, out=a)


def _through_tanh(h: np.ndarray, slope: np.ndarray | None, delta: np.ndarray) -> Callable[[], Any]:
    """By 1 - h^2. Torch reads and writes each number once, numpy three times."""
    import torch

    given = torch.from_numpy(delta)
    return partial(torch.ops.aten.tanh_backward.grad_input, given, torch.from_numpy(h), grad_input=given)


def _through_relu(h: np.ndarray, slope: np.ndarray | None, delta: np.ndarray) -> Callable[[], Any]:
    """By 1 where h > 0."""
    import torch

    given = torch.from_numpy(delta)
    return partial(
        torch.ops.aten.threshold_backward.grad_input, given, torch.from_numpy(h), 0.0, grad_input=given
    )


def _by_slope(h: np.ndarray, slope: np.ndarray | None, delta: np.ndarray) -> Callable[[], Any]:
    return partial(np.multiply, delta, slope, out=delta)


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(_tanh, _through_tanh, keeps_slope=False),
    "relu": Activation(_relu, _through_relu, keeps_slope=False),
    "silu": Activation(_silu, _by_slope, keeps_slope=True),
    "gelu": Activation(_gelu, _by_slope, keeps_slope=True),
}


@lru_cache(maxsize=16)
def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)
