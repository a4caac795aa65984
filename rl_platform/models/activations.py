"""Activations with their slopes, in place: what a pass through dense layers writes beside each output."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from rl_platform.models.numpy_ops import gelu_parts, sigmoid

Activate = Callable[[np.ndarray, "np.ndarray | None"], None]
"""(a, slope): f(a) over ``a`` and, where room is given, f'(a) into ``slope``."""

ZERO, ONE = np.float32(0), np.float32(1)


def _tanh(a: np.ndarray, slope: np.ndarray | None) -> None:
    """f' = 1 - f^2."""
    np.tanh(a, out=a)
    if slope is not None:
        np.multiply(a, a, out=slope)
        np.subtract(ONE, slope, out=slope)


def _relu(a: np.ndarray, slope: np.ndarray | None) -> None:
    # Numpy compares with an array of zeros three times as fast as with the number.
    np.maximum(a, _zeros(a.shape), out=a)
    if slope is not None:
        np.greater(a, ZERO, out=slope, casting="unsafe")


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


ACTIVATIONS: dict[str, Activate] = {"tanh": _tanh, "relu": _relu, "silu": _silu, "gelu": _gelu}


@lru_cache(maxsize=16)
def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)
