"""Forward and backward through dense layers, written out: each product goes straight into its place.

Autograd on layers this small spends most of its time beside the arithmetic, and torch's product with a
handful of outputs takes ten times as long as numpy's. So the chain rule is here by hand. With x the features,
layer i is

    a_0 = x w_0 + b_0,  a_i = h_{i-1} w_i + b_i,  h_i = f(a_i),  and head_k = h_last w_k + b_k,

and with dh the gradient of the loss by a layer's output, at first the sum over heads of dhead_k w_k^T,

    da_i = dh_i f'(a_i),  dw_i = h_{i-1}^T da_i,  db_i = sum of da_i over rows,  dh_{i-1} = da_i w_i^T.

Shape legend: B rows, F features, H units, S trunks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.models.activations import ACTIVATIONS
from rl_platform.models.dense import DenseLayers


class Layer:
    """The memory of one layer for B rows, trunks side by side: [B, S·H], and the same as [S, B, H].

    ``h`` is its output, ``slope`` f' at each unit, ``delta`` first dh and then da.
    """

    __slots__ = ("delta", "delta_by_trunk", "h", "h_by_trunk", "slope")

    def __init__(self, rows: int, trunks: int, units: int) -> None:
        self.h, self.slope, self.delta = (np.empty((rows, trunks * units), np.float32) for _ in range(3))
        self.h_by_trunk, self.delta_by_trunk = (
            leaf.reshape(rows, trunks, units).transpose(1, 0, 2) for leaf in (self.h, self.delta)
        )


class DensePass:
    """One set of parameters, and room for B rows. Parameters are views: they may change between passes."""

    def __init__(self, net: DenseLayers, params: Mapping[str, np.ndarray], rows: int) -> None:
        self.net, self.params = net, params
        self.weights = net.arranged(params)
        self.activate = ACTIVATIONS[net.activation]
        self.ones = np.ones((1, rows), np.float32)
        self.layers = [Layer(rows, net.trunks, b.size // net.trunks) for _, b in self.weights]
        self.x = np.empty((rows, 0), np.float32)

    def forward(self, x: np.ndarray, learn: bool = True) -> dict[str, np.ndarray]:
        """Heads [B, size] of features [B, F]; ``learn`` keeps what `backward` needs, ``x`` among it."""
        self.x = before = x
        for i, (layer, (w, b)) in enumerate(zip(self.layers, self.weights, strict=True)):
            np.matmul(before, w, out=layer.h_by_trunk if i else layer.h)
            np.add(layer.h, b, out=layer.h)
            self.activate(layer.h, layer.slope if learn else None)
            before = layer.h_by_trunk
        heads = {}
        for head in self.net.heads:
            y = (before[head.trunk] if self.layers else x) @ self.params[head.w]
            y += self.params[head.b]
            heads[head.name] = y
        return heads

    def backward(self, heads: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        """From the gradients of heads [B, size] to those of all layers, written over ``gradients``.

        ``gradients`` are views like the parameters. A head that is not given has no influence on the loss.
        """
        self._backward_heads(heads, gradients)
        arranged = self.net.arranged(gradients)
        for i in range(len(self.layers) - 1, -1, -1):
            layer, (dw, db) = self.layers[i], arranged[i]
            np.multiply(layer.delta, layer.slope, out=layer.delta)
            np.matmul(self.ones, layer.delta, out=db[None])
            if i == 0:
                np.matmul(self.x.T, layer.delta, out=dw)
                return
            before = self.layers[i - 1]
            np.matmul(before.h_by_trunk.transpose(0, 2, 1), layer.delta_by_trunk, out=dw)
            np.matmul(layer.delta_by_trunk, self.weights[i][0].transpose(0, 2, 1), out=before.delta_by_trunk)

    def _backward_heads(self, heads: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> None:
        last = self.layers[-1] if self.layers else None
        reached: set[int] = set()
        for head in self.net.heads:
            gradient = heads.get(head.name)
            if gradient is None:
                gradients[head.w].fill(0)
                gradients[head.b].fill(0)
                continue
            np.matmul((last.h_by_trunk[head.trunk] if last else self.x).T, gradient, out=gradients[head.w])
            np.matmul(self.ones, gradient, out=gradients[head.b][None])
            # Numpy's matmul makes an outer product number by number; broadcasting is three times as fast.
            product = np.multiply if gradient.shape[1] == 1 else np.matmul
            if last and head.trunk not in reached:
                product(gradient, self.params[head.w].T, out=last.delta_by_trunk[head.trunk])
                reached.add(head.trunk)
            elif last:
                last.delta_by_trunk[head.trunk] += product(gradient, self.params[head.w].T)
        if last:
            for trunk in set(range(self.net.trunks)) - reached:
                last.delta_by_trunk[trunk].fill(0)
