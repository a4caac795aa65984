"""The operations in numpy: what samples small dense networks, without importing torch.

Called once per tick for a handful of rows, so a call's fixed cost counts for more than its arithmetic: ufuncs
and their ``reduce`` are called directly, and results that nobody else holds are updated in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from rl_platform.models.ops import Array


class NumpyOps:
    """`Ops` on numpy arrays; see there for shapes."""

    name = "numpy"

    def linear(self, x: Array, w: Array, b: Array) -> Array:
        y = x @ w
        y += b
        return y

    def stacked_linear(self, x: Array, w: Array, b: Array) -> Array:
        y = x @ w
        y += b
        return y

    def conv2d(self, x: Array, w: Array, b: Array, stride: int) -> Array:
        kernel = w.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))[:, ::stride, ::stride]
        patches = windows.reshape(*windows.shape[:3], -1)
        y = patches @ w.reshape(len(w), -1).T
        y += b
        return y

    def lstm_cell(self, gates_x: Array, h: Array, c: Array, w_h: Array) -> tuple[Array, Array]:
        gates = h @ w_h
        gates += gates_x
        size = h.shape[-1]
        i, f, o = (
            sigmoid(gates[:, :size]),
            sigmoid(gates[:, size : 2 * size]),
            sigmoid(gates[:, 3 * size :]),
        )
        c_next = f * c
        i *= np.tanh(gates[:, 2 * size : 3 * size])
        c_next += i
        o *= np.tanh(c_next)
        return o, c_next

    def activation(self, kind: str, x: Array) -> Array:
        return _ACTIVATIONS[kind](x)

    def exp(self, x: Array) -> Array:
        return np.exp(x)

    def log(self, x: Array) -> Array:
        return np.log(x)

    def softplus(self, x: Array) -> Array:
        return np.logaddexp(x, np.float32(0))

    def sigmoid(self, x: Array) -> Array:
        return sigmoid(x)

    def sqrt(self, x: Array) -> Array:
        return np.sqrt(x)

    def log_softmax(self, x: Array) -> Array:
        # Categories are few and rows are many: with the categories in front, numpy reduces ten times as fast.
        y = np.array(x.T, order="C")
        y -= np.maximum.reduce(y, 0)
        y -= np.log(np.add.reduce(np.exp(y), 0))
        return y.T

    def sum(self, x: Array, axis: int) -> Array:
        return np.add.reduce(x, axis)

    def mean(self, x: Array, axis: int) -> Array:
        return np.add.reduce(x, axis) / np.float32(x.shape[axis])

    def max(self, x: Array, axis: int) -> Array:
        return np.maximum.reduce(x, axis)

    def argmax(self, x: Array) -> Array:
        return x.argmax(-1)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def clip(self, x: Array, low: Array, high: Array) -> Array:
        return np.minimum(np.maximum(x, low), high)

    def concat(self, xs: Sequence[Array], axis: int) -> Array:
        return np.concatenate(xs, axis)

    def stack(self, xs: Sequence[Array], axis: int) -> Array:
        return np.stack(xs, axis)

    def split(self, x: Array, sizes: Sequence[int]) -> list[Array]:
        parts, start = [], 0
        for size in sizes:
            parts.append(x[..., start : start + size])
            start += size
        return parts

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        return x.reshape(shape)

    def transpose(self, x: Array, axes: Sequence[int]) -> Array:
        return x.transpose(axes)

    def take(self, x: Array, index: Array) -> Array:
        if x.ndim == 2:
            return x[_rows(len(x)), index]
        return np.take_along_axis(x, index[..., None], -1)[..., 0]

    def one_hot(self, index: Array, size: int) -> Array:
        return _identity(size)[index]

    def arange_mask(self, count: Array, size: int) -> Array:
        return _rows(size) < count[..., None]

    def cast(self, x: Array, dtype: str) -> Array:
        return x.astype(dtype, copy=False)

    def constant(self, value: Any, like: Array) -> Array:
        return np.asarray(value)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function. By tanh, because exp overflows for large negative x."""
    y = np.tanh(x * np.float32(0.5))
    y += np.float32(1)
    y *= np.float32(0.5)
    return y


def gelu_parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The standard normal distribution up to x, and its density at x.

    By the error function of Abramowitz and Stegun 7.1.26, off by at most 1.5e-7: numpy has none.
    """
    size = np.abs(x * np.float32(0.5**0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    bell = np.exp(-size * size)
    below = np.float32(0.5) * (1 + np.copysign(1 - tail * bell, x))
    return below, bell * np.float32((2 * np.pi) ** -0.5)


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * gelu_parts(x)[0],
}


@lru_cache(maxsize=64)
def _rows(count: int) -> np.ndarray:
    return np.arange(count)


@lru_cache(maxsize=64)
def _identity(size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)


NUMPY = NumpyOps()
