"""The operations as ONNX nodes: running a policy once on symbols writes its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.onnx_graph import ELEMENT_TYPES, Graph, Symbol, binary, together


class OnnxOps:
    """`Ops` on symbols of one graph; see there for shapes."""

    name = "onnx"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def linear(self, x: Symbol, w: Symbol, b: Symbol) -> Symbol:
        value = NUMPY.linear(x.value, w.value, b.value)
        if x.ndim == 2:
            return self.graph.add("Gemm", [x, w, b], value)
        return self.graph.add("MatMul", [x, w], x.value @ w.value) + b

    def stacked_linear(self, x: Symbol, w: Symbol, b: Symbol) -> Symbol:
        return self.graph.add("MatMul", [x, w], x.value @ w.value) + b

    def conv2d(self, x: Symbol, w: Symbol, b: Symbol, stride: int) -> Symbol:
        value = NUMPY.conv2d(x.value, w.value, b.value, stride).transpose(0, 3, 1, 2)
        y = self.graph.add("Conv", [self.transpose(x, (0, 3, 1, 2)), w, b], value, strides=[stride, stride])
        return self.transpose(y, (0, 2, 3, 1))

    def lstm_cell(self, gates_x: Symbol, h: Symbol, c: Symbol, w_h: Symbol) -> tuple[Symbol, Symbol]:
        gates = self.graph.add("MatMul", [h, w_h], h.value @ w_h.value) + gates_x
        i, f, g, o = self.split(gates, [h.shape[-1]] * 4)
        c = self.sigmoid(f) * c + self.sigmoid(i) * self.activation("tanh", g)
        return self.sigmoid(o) * self.activation("tanh", c), c

    def activation(self, kind: str, x: Symbol) -> Symbol:
        if kind == "silu":
            return x * self.sigmoid(x)
        operator = {"tanh": "Tanh", "relu": "Relu", "gelu": "Gelu"}[kind]
        return self.graph.add(operator, [x], NUMPY.activation(kind, x.value))

    def exp(self, x: Symbol) -> Symbol:
        return self.graph.add("Exp", [x], np.exp(x.value))

    def log(self, x: Symbol) -> Symbol:
        return self.graph.add("Log", [x], np.log(x.value))

    def softplus(self, x: Symbol) -> Symbol:
        return self.graph.add("Softplus", [x], NUMPY.softplus(x.value))

    def sigmoid(self, x: Symbol) -> Symbol:
        return self.graph.add("Sigmoid", [x], NUMPY.sigmoid(x.value))

    def sqrt(self, x: Symbol) -> Symbol:
        return self.graph.add("Sqrt", [x], np.sqrt(x.value))

    def log_softmax(self, x: Symbol) -> Symbol:
        return self.graph.add("LogSoftmax", [x], NUMPY.log_softmax(x.value), axis=-1)

    def sum(self, x: Symbol, axis: int) -> Symbol:
        return self._reduce("ReduceSum", x, axis, NUMPY.sum(x.value, axis))

    def mean(self, x: Symbol, axis: int) -> Symbol:
        return self._reduce("ReduceMean", x, axis, NUMPY.mean(x.value, axis))

    def max(self, x: Symbol, axis: int) -> Symbol:
        return self._reduce("ReduceMax", x, axis, NUMPY.max(x.value, axis))

    def argmax(self, x: Symbol) -> Symbol:
        return self.graph.add("ArgMax", [x], x.value.argmax(-1), axis=-1, keepdims=0)

    def where(self, condition: Symbol, a: Any, b: Any) -> Symbol:
        a, b = together(a, b)
        return self.graph.add("Where", [condition, a, b], np.where(condition.value, a.value, b.value))

    def clip(self, x: Symbol, low: Any, high: Any) -> Symbol:
        # ONNX has Clip for scalar bounds only.
        return binary("Min", binary("Max", x, low), high)

    def concat(self, xs: Sequence[Symbol], axis: int) -> Symbol:
        return self.graph.add("Concat", xs, np.concatenate([x.value for x in xs], axis), axis=axis)

    def stack(self, xs: Sequence[Symbol], axis: int) -> Symbol:
        axis %= xs[0].ndim + 1
        return self.concat([x.expand(axis) for x in xs], axis)

    def split(self, x: Symbol, sizes: Sequence[int]) -> list[Symbol]:
        values = NUMPY.split(x.value, sizes)
        return self.graph.add_many("Split", [x, self._integers(sizes)], values, axis=-1)

    def reshape(self, x: Symbol, shape: Sequence[int]) -> Symbol:
        return self.graph.add("Reshape", [x, self._integers(shape)], x.value.reshape(shape))

    def transpose(self, x: Symbol, axes: Sequence[int]) -> Symbol:
        return self.graph.add("Transpose", [x], x.value.transpose(axes), perm=list(axes))

    def take(self, x: Symbol, index: Symbol) -> Symbol:
        column = index[..., None]
        value = np.take_along_axis(x.value, column.value, -1)
        return self.graph.add("GatherElements", [x, column], value, axis=-1)[..., 0]

    def one_hot(self, index: Symbol, size: int) -> Symbol:
        depth, off_on = self.graph.constant(np.int64(size)), self.graph.constant(np.array([0, 1], np.float32))
        return self.graph.add("OneHot", [index, depth, off_on], NUMPY.one_hot(index.value, size), axis=-1)

    def arange_mask(self, count: Symbol, size: int) -> Symbol:
        return binary("Less", self.graph.constant(np.arange(size)), count[..., None])

    def cast(self, x: Symbol, dtype: str) -> Symbol:
        return self.graph.add("Cast", [x], x.value.astype(dtype), to=ELEMENT_TYPES[dtype])

    def constant(self, value: Any, like: Symbol) -> Symbol:
        return self.graph.constant(value)

    def _reduce(self, operator: str, x: Symbol, axis: int, value: np.ndarray) -> Symbol:
        return self.graph.add(operator, [x, self._integers([axis])], value, keepdims=0)

    def _integers(self, values: Sequence[int]) -> Symbol:
        return self.graph.constant(np.array(values, np.int64))
