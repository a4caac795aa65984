"""Forward and backward through dense layers, written out: each product goes straight into its place.

Autograd on layers this small spends most of its time beside the arithmetic, and torch's product with a
handful of outputs takes ten times as long as numpy's. So the chain rule is here by hand. With x the features,
layer i is

    a_0 = x w_0 + b_0,  a_i = h_{i-1} w_i + b_i,  h_i = f(a_i),  and head_k = h_last w_k + b_k,

and with dh the gradient of the loss by a layer's output, at first the sum over heads of dhead_k w_k^T,

    da_i = dh_i f'(a_i),  dw_i = h_{i-1}^T da_i,  db_i = sum of da_i over rows,  dh_{i-1} = da_i w_i^T.

Shape legend: S trunks, B rows in K blocks of N (`row_blocks`), F features, H units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rl_platform.models.activations import ACTIVATIONS, Activation
from rl_platform.models.dense import DenseHead, DenseLayers
from rl_platform.models.row_blocks import rows_per_block

KEPT = 8
"""For so many numbers of rows `DensePasses` keeps the memory."""
MANY_ROWS = 256
"""From so many on a row of one number takes the way of two; see `_outer`."""


class Layer:
    """The memory of one layer, [S, K, N, H].

    ``h`` is its output, ``delta`` first dh and then da, ``slope`` f' at each unit where `Activation` keeps
    it; the last two are there from the first pass on that learns. ``bias`` [S, 1, N, H] holds the bias for
    each row of a block: as one piece numpy adds it three times as fast.
    """

    __slots__ = ("bias", "delta", "h", "slope", "through")

    def __init__(self, trunks: int, blocks: int, rows: int, units: int) -> None:
        # Zeros: BLAS reads a little beside what it needs, and numpy warns of what lies there by chance.
        self.h = np.zeros((trunks, blocks, rows, units), np.float32)
        self.bias = np.empty((trunks, 1, rows, units), np.float32)
        self.slope: np.ndarray | None = None
        self.delta: np.ndarray | None = None
        self.through: Callable[[], Any] | None = None

    def prepare_to_learn(self, activation: Activation) -> None:
        """Make room for what a pass that learns keeps."""
        self.slope = np.zeros_like(self.h) if activation.keeps_slope else None
        self.delta = np.zeros_like(self.h)
        self.through = activation.through(self.h, self.slope, self.delta)


class DensePass:
    """One set of parameters, and room for B rows. Parameters are views: they may change between passes."""

    def __init__(self, net: DenseLayers, params: Mapping[str, np.ndarray], rows: int) -> None:
        self.net, self.params = net, params
        self.weights = net.arranged(params)
        self.activation = ACTIVATIONS[net.activation]
        self.rows = rows_per_block(rows, max((w[0].size for w, _ in self.weights), default=1))
        self.blocks = rows // self.rows
        self.ones = np.ones((1, rows), np.float32)
        self.layers = [Layer(len(w), self.blocks, self.rows, w.shape[-1]) for w, _ in self.weights]
        self.learns = False
        self.x = np.empty((1, self.blocks, self.rows, 0), np.float32)
        self._products: dict[tuple[int, ...], np.ndarray] = {}  # of each block, by their shape

    def forward(self, x: np.ndarray, learn: bool = True) -> dict[str, np.ndarray]:
        """Heads [B, size] of features [B, F]; ``learn`` keeps what `backward` needs, ``x`` among it."""
        if learn and not self.learns:
            for layer in self.layers:
                layer.prepare_to_learn(self.activation)
            self.learns = True
        self.x = before = x.reshape(1, self.blocks, self.rows, -1)
        for layer, (w, b) in zip(self.layers, self.weights, strict=True):
            np.matmul(before, w[:, None], out=layer.h)
            bias = b[:, None]
            if self.blocks > 1:
                layer.bias[...] = bias
                bias = layer.bias
            np.add(layer.h, bias, out=layer.h)
            self.activation.apply(layer.h, layer.slope if learn else None)
            before = layer.h
        heads = {}
        for head in self.net.heads:
            y = self._read_by(head) @ self.params[head.w]
            y += self.params[head.b]
            heads[head.name] = y
        return heads

    def _read_by(self, head: DenseHead) -> np.ndarray:
        """[B, H]"""
        read = self.layers[-1].h[head.trunk] if self.layers else self.x
        return read.reshape(-1, read.shape[-1])

    def backward(self, heads: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        """From the gradients of heads [B, size] to those of all layers, written over ``gradients``.

        ``gradients`` are views like the parameters. A head that is not given has no influence on the loss.
        """
        self._backward_heads(heads, gradients)
        arranged = self.net.arranged(gradients)
        for i in range(len(self.layers) - 1, -1, -1):
            layer, (dw, db) = self.layers[i], arranged[i]
            delta = layer.delta
            assert delta is not None, "only a pass that learns goes back"
            assert layer.through is not None
            layer.through()
            np.matmul(self.ones, delta.reshape(len(delta), -1, delta.shape[-1]), out=db)
            before = self.layers[i - 1].h if i else self.x
            self._sum(before.swapaxes(-1, -2), delta, dw)
            if i:
                back = self.weights[i][0].swapaxes(-1, -2)
                if self.blocks > 1:  # of a transposed view BLAS would make a copy for each of them
                    back = np.ascontiguousarray(back)
                np.matmul(delta, back[:, None], out=self.layers[i - 1].delta)

    def _backward_heads(self, heads: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        last = self.layers[-1].delta if self.layers else None
        reached: set[int] = set()
        for head in self.net.heads:
            if (gradient := heads.get(head.name)) is None:
                gradients[head.w].fill(0)
                gradients[head.b].fill(0)
                continue
            np.matmul(self._read_by(head).T, gradient, out=gradients[head.w])
            np.matmul(self.ones, gradient, out=gradients[head.b][None])
            if last is None:
                continue
            delta, back = last[head.trunk].reshape(-1, last.shape[-1]), self.params[head.w].T
            if head.trunk in reached:
                delta += _outer(gradient, back)
            else:
                _outer(gradient, back, out=delta)
                reached.add(head.trunk)
        if last is not None:
            for trunk in set(range(self.net.trunks)) - reached:
                last[trunk].fill(0)

    def _sum(self, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
        """The products of all blocks [S, K, ...], summed into ``out``."""
        if self.blocks == 1:
            np.matmul(left, right, out=out[:, None])
            return
        room = self._products.get(out.shape)
        if room is None:
            shape = (len(out), self.blocks, *out.shape[1:])
            room = self._products[out.shape] = np.zeros(shape, np.float32)
        np.add.reduce(np.matmul(left, right, out=room), 1, out=out)


def _outer(gradient: np.ndarray, back: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """[B, size] times [size, H].

    With one number per row numpy's matmul goes number by number, and its multiplication row by row; in many
    rows a second number, zero, is cheaper.
    """
    product: np.ndarray
    if gradient.shape[-1] == 1 and gradient.size < MANY_ROWS:
        product = np.multiply(gradient, back, out=out)
        return product
    if gradient.shape[-1] == 1:
        wide = np.zeros((*gradient.shape[:-1], 2), np.float32)
        wide[..., :1] = gradient
        gradient, back = wide, np.concatenate([back, back])
    product = np.matmul(gradient, back, out=out)
    return product


class DensePasses:
    """Passes for any number of rows, over one set of parameters."""

    def __init__(self, net: DenseLayers, params: Mapping[str, np.ndarray]) -> None:
        self.net, self.params = net, params
        self._by_rows: dict[int, DensePass] = {}

    def of(self, rows: int) -> DensePass:
        """The same for the same number of rows, most times."""
        found = self._by_rows.get(rows)
        if found is None:
            if len(self._by_rows) >= KEPT:
                self._by_rows.clear()
            found = self._by_rows[rows] = DensePass(self.net, self.params, rows)
        return found
