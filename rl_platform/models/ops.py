"""The operations that networks and distributions are written in.

A network calls nothing but these, so one ``forward`` is an actor in numpy, a differentiable function in torch
and an ONNX graph. ``Array`` is whatever the back end computes with. Last axis = features, unless a line says
otherwise. A network that needs more than this may use ``torch`` directly and then says so (`Net.portable`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Array = Any


class Ops(Protocol):
    """One back end.

    Arithmetic and comparison work on arrays as in numpy, and so do ``ndim``, ``shape[-1]`` and indexing with
    integers, slices, None and an ellipsis. A Python number may stand for a float32 array.
    """

    @property
    def name(self) -> str:
        """numpy, torch or onnx."""

    def linear(self, x: Array, w: Array, b: Array) -> Array:
        """[..., I] @ [I, O] + [O]."""

    def stacked_linear(self, x: Array, w: Array, b: Array) -> Array:
        """[S, B, I] @ [S, I, O] + [S, 1, O]: S networks of equal shape in one product."""

    def conv2d(self, x: Array, w: Array, b: Array, stride: int) -> Array:
        """[B, H, W, C] with w [O, C, kh, kw], no padding; returns [B, H', W', O]."""

    def lstm_cell(self, gates_x: Array, h: Array, c: Array, w_h: Array) -> tuple[Array, Array]:
        """One step; ``gates_x`` [B, 4H]: the input's part with the bias, gates i, f, g, o. Returns (h, c)."""

    def activation(self, kind: str, x: Array) -> Array:
        """tanh, relu, silu or gelu (the exact one, by erf)."""

    def exp(self, x: Array) -> Array: ...
    def log(self, x: Array) -> Array: ...
    def softplus(self, x: Array) -> Array: ...
    def sigmoid(self, x: Array) -> Array: ...
    def sqrt(self, x: Array) -> Array: ...
    def log_softmax(self, x: Array) -> Array: ...
    def sum(self, x: Array, axis: int) -> Array: ...
    def mean(self, x: Array, axis: int) -> Array: ...
    def max(self, x: Array, axis: int) -> Array: ...
    def argmax(self, x: Array) -> Array:
        """Over the last axis, int64; the first of equals."""

    def where(self, condition: Array, a: Array, b: Array) -> Array: ...
    def clip(self, x: Array, low: Array, high: Array) -> Array: ...
    def concat(self, xs: Sequence[Array], axis: int) -> Array: ...
    def stack(self, xs: Sequence[Array], axis: int) -> Array: ...
    def split(self, x: Array, sizes: Sequence[int]) -> list[Array]:
        """Along the last axis."""

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        """One entry may be -1; a batch dimension is never a literal (ONNX exports it as dynamic)."""

    def transpose(self, x: Array, axes: Sequence[int]) -> Array: ...
    def take(self, x: Array, index: Array) -> Array:
        """``x[..., index[...]]``: the entry of the last axis that ``index`` (int64) names."""

    def one_hot(self, index: Array, size: int) -> Array:
        """float32 [..., size]."""

    def arange_mask(self, count: Array, size: int) -> Array:
        """bool [..., size]: position < count."""

    def cast(self, x: Array, dtype: str) -> Array:
        """To ``float32``, ``int64`` or ``bool``."""

    def constant(self, value: Any, like: Array) -> Array:
        """A numpy constant as an array of the back end (on the device of ``like``)."""
