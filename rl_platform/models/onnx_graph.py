"""An ONNX graph under construction, and the symbolic arrays that add nodes to it when they are computed with.

Every symbol carries an example value, computed in numpy for a few rows beside the graph: shapes and types are
known at every step without inference, and a wrong operation fails where it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 10
ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
}


class Graph:
    """Nodes, constants and inputs, in the order in which they came."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, example: np.ndarray) -> Symbol:
        """A graph input whose first dimension is the batch."""
        element = ELEMENT_TYPES[str(example.dtype)]
        self.inputs.append(helper.make_tensor_value_info(name, element, ["batch", *example.shape[1:]]))
        return Symbol(self, name, example)

    def constant(self, value: Any, name: str | None = None) -> Symbol:
        """An array that is stored in the graph."""
        array = np.array(value)
        name = name or f"constant/{len(self.constants)}"
        self.constants[name] = array
        return Symbol(self, name, array)

    def add(self, operator: str, inputs: Sequence[Symbol], value: np.ndarray, **attributes: Any) -> Symbol:
        """One node with one output."""
        return self.add_many(operator, inputs, [value], **attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[Symbol], values: Sequence[np.ndarray], **attributes: Any
    ) -> list[Symbol]:
        """One node with several outputs, whose examples are ``values``."""
        names = [f"{operator.lower()}/{len(self.nodes)}/{i}" for i in range(len(values))]
        self.nodes.append(helper.make_node(operator, [x.name for x in inputs], names, **attributes))
        return [Symbol(self, name, value) for name, value in zip(names, values, strict=True)]

    def model(self, outputs: dict[str, Symbol], name: str) -> onnx.ModelProto:
        """The finished graph: only what ``outputs`` need, under the names given there."""
        named = [helper.make_node("Identity", [symbol.name], [out]) for out, symbol in outputs.items()]
        nodes, needed = _reachable(self.nodes, named)
        constants = [numpy_helper.from_array(a, n) for n, a in self.constants.items() if n in needed]
        infos = [
            helper.make_tensor_value_info(
                out, ELEMENT_TYPES[str(symbol.value.dtype)], ["batch", *symbol.value.shape[1:]]
            )
            for out, symbol in outputs.items()
        ]
        graph = helper.make_graph(nodes, name, self.inputs, infos, constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="rl-platform",
        )
        onnx.checker.check_model(model)
        return model


class Symbol:
    """An array of the graph. Arithmetic, comparison and indexing work as in numpy."""

    __array_ufunc__ = None  # so that numpy hands mixed arithmetic over

    def __init__(self, graph: Graph, name: str, value: np.ndarray) -> None:
        self.graph, self.name, self.value = graph, name, np.asarray(value)

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the example: the batch dimension in it means nothing."""
        return self.value.shape

    def __add__(self, other: Any) -> Symbol:
        return binary("Add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return binary("Add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return binary("Sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return binary("Sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return binary("Mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return binary("Mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return binary("Div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return binary("Div", other, self)

    def __gt__(self, other: Any) -> Symbol:
        return binary("Greater", self, other)

    def __ge__(self, other: Any) -> Symbol:
        return binary("GreaterOrEqual", self, other)

    def __lt__(self, other: Any) -> Symbol:
        return binary("Less", self, other)

    def __le__(self, other: Any) -> Symbol:
        return binary("LessOrEqual", self, other)

    def __neg__(self) -> Symbol:
        return self.graph.add("Neg", [self], -self.value)

    def __getitem__(self, key: Any) -> Symbol:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            given = sum(k is not None and k is not Ellipsis for k in keys)
            keys = (*keys[:at], *[slice(None)] * (self.ndim - given), *keys[at + 1 :])
        result, axis = self, 0
        for k in keys:
            if k is None:
                result, axis = result.expand(axis), axis + 1
            elif isinstance(k, slice):
                result, axis = result.cut(k, axis), axis + 1
            else:
                value = np.take(result.value, k, axis)
                index = self.graph.constant(np.int64(k))
                result = self.graph.add("Gather", [result, index], value, axis=axis)
        return result

    def expand(self, axis: int) -> Symbol:
        """A new dimension of size 1 at ``axis``."""
        axes = self.graph.constant(np.array([axis], np.int64))
        return self.graph.add("Unsqueeze", [self, axes], np.expand_dims(self.value, axis))

    def cut(self, part: slice, axis: int) -> Symbol:
        """A slice along ``axis``."""
        if part == slice(None):
            return self
        if part.step not in (None, 1):
            raise ValueError(f"slices have step 1 in an exported network, got {part.step}")
        start, stop = part.start or 0, 2**31 if part.stop is None else part.stop
        bounds = [self.graph.constant(np.array([x], np.int64)) for x in (start, stop, axis)]
        value = self.value[(slice(None),) * axis + (part,)]
        return self.graph.add("Slice", [self, *bounds], value)


_COMPUTE = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


def binary(operator: str, a: Any, b: Any) -> Symbol:
    """A node of two operands, of which one may be a number or a numpy array (in the other's type)."""
    left, right = together(a, b)
    return left.graph.add(operator, [left, right], _COMPUTE[operator](left.value, right.value))


def together(a: Any, b: Any) -> tuple[Symbol, Symbol]:
    """Both as symbols of one type; at least one must be a symbol already."""
    if isinstance(a, Symbol):
        return a, b if isinstance(b, Symbol) else a.graph.constant(np.asarray(b, a.value.dtype))
    if not isinstance(b, Symbol):
        raise TypeError(f"expected an array of the graph beside {type(a).__name__}, got {type(b).__name__}")
    return b.graph.constant(np.asarray(a, b.value.dtype)), b


def _reachable(
    nodes: Sequence[onnx.NodeProto], last: Sequence[onnx.NodeProto]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that ``last`` depends on, in order, with ``last`` at the end; and every name they read."""
    needed = {name for node in last for name in node.input}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return [*reversed(kept), *last], needed
