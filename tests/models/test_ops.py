"""The three back ends, operation by operation, and the ONNX graph's indexing against numpy's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.onnx_graph import Graph
from rl_platform.models.onnx_ops import OnnxOps
from rl_platform.models.torch_ops import NUMPY_TANH_FROM, TORCH

X = np.random.default_rng(0).standard_normal((3, 4, 5), np.float32)
INDEX = np.array([[0, 4, 2, 2], [1, 1, 3, 0], [4, 4, 4, 0]])

Operation = Callable[[Any, Any, Any], Any]
OPERATIONS: dict[str, Operation] = {
    "exp": lambda ops, x, i: ops.exp(x),
    "log": lambda ops, x, i: ops.log(x * x + 1.0),
    "softplus": lambda ops, x, i: ops.softplus(x * 30.0),
    "sigmoid": lambda ops, x, i: ops.sigmoid(x * 100.0),
    "sqrt": lambda ops, x, i: ops.sqrt(x * x),
    "log_softmax": lambda ops, x, i: ops.log_softmax(x * 100.0),
    "sum": lambda ops, x, i: ops.sum(x, 1),
    "mean": lambda ops, x, i: ops.mean(x, -1),
    "max": lambda ops, x, i: ops.max(x, 1),
    "argmax": lambda ops, x, i: ops.argmax(x),
    "argmax of equals": lambda ops, x, i: ops.argmax(ops.clip(x, 0.0, 0.1)),
    "where": lambda ops, x, i: ops.where(x > 0.5, x, -1.0),
    "where, other side": lambda ops, x, i: ops.where(x <= 0.5, 2.0, x),
    "clip": lambda ops, x, i: ops.clip(x, -0.5, 0.5),
    "concat": lambda ops, x, i: ops.concat([x, x], 1),
    "stack": lambda ops, x, i: ops.stack([x, x], -1),
    "split": lambda ops, x, i: ops.concat(ops.split(x, [2, 1, 2])[::-1], -1),
    "reshape": lambda ops, x, i: ops.reshape(x, (-1, 10)),
    "transpose": lambda ops, x, i: ops.transpose(x, (0, 2, 1)),
    "take": lambda ops, x, i: ops.take(x, i),
    "one_hot": lambda ops, x, i: ops.one_hot(i, 5),
    "arange_mask": lambda ops, x, i: ops.arange_mask(i, 6),
    "cast": lambda ops, x, i: ops.cast(ops.cast(x > 0.0, "int64"), "float32"),
    "constant": lambda ops, x, i: x * ops.constant(np.arange(5, dtype=np.float32), x),
    "arithmetic": lambda ops, x, i: (2.0 - x) / (1.0 + x * x) - (-x),
    "division of a number": lambda ops, x, i: 1.0 / (x * x + 1.0),
    "comparison": lambda ops, x, i: ops.where(x >= 0.0, x, x) + ops.cast(x < 1.0, "float32"),
    "last entry": lambda ops, x, i: x[..., -1],
    "first row": lambda ops, x, i: x[:, 0],
    "new last axis": lambda ops, x, i: x[..., None] * 2.0,
    "new middle axis": lambda ops, x, i: x[:, None, 1],
    "slice": lambda ops, x, i: x[..., 1:3],
    "slice to the end": lambda ops, x, i: x[:, 2:, :-1],
    "gelu": lambda ops, x, i: ops.activation("gelu", x * 2.0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_the_same_in_all_back_ends(name: str) -> None:
    operation = OPERATIONS[name]
    expected = operation(NUMPY, X, INDEX)
    found = operation(TORCH, torch.from_numpy(X), torch.from_numpy(INDEX)).numpy()
    graph = Graph()
    x, index = graph.input("x", X[:2]), graph.input("index", INDEX[:2])
    model = graph.model({"y": operation(OnnxOps(graph), x, index)}, "one").SerializeToString()
    session = onnxruntime.InferenceSession(model)
    feed = {"x": X, "index": INDEX}
    needed = {each.name for each in session.get_inputs()}
    (exported,) = session.run(None, {path: leaf for path, leaf in feed.items() if path in needed})
    for other in (found, exported):
        assert other.dtype == expected.dtype
        assert other.shape == expected.shape
        np.testing.assert_allclose(other, expected, rtol=1e-5, atol=1e-5)


def test_gelu_is_the_exact_one_in_numpy() -> None:
    x = np.linspace(-6, 6, 2001, dtype=np.float32)
    exact = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    np.testing.assert_allclose(NUMPY.activation("gelu", x), exact, atol=1e-6)


def test_tanh_of_many_elements_is_that_of_torch_with_its_gradient() -> None:
    many = np.random.default_rng(1).standard_normal((2 * NUMPY_TANH_FROM, 2), np.float32)
    ours, theirs = (torch.from_numpy(many * 3).requires_grad_() for _ in range(2))
    y, expected = TORCH.activation("tanh", ours.T), torch.tanh(theirs.T)
    assert "Numpy" in type(y.grad_fn).__name__, "the fast way was not taken"
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-7)
    weights = torch.from_numpy(many.T.copy())
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_operations_leave_their_arguments_alone() -> None:
    before = X.copy()
    w, b = np.ones((5, 2), np.float32), np.ones(2, np.float32)
    for operation in OPERATIONS.values():
        operation(NUMPY, X, INDEX)
    for kind in ("tanh", "relu", "silu", "gelu"):
        NUMPY.activation(kind, X)
    NUMPY.linear(X, w, b)
    h, c = np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)
    NUMPY.lstm_cell(np.ones((3, 8), np.float32), h, c, np.ones((2, 8), np.float32))
    np.testing.assert_array_equal(X, before)
    for array in (w, b, h, c):
        assert (array == 1).all()


def test_a_stepped_slice_is_refused_in_an_exported_network() -> None:
    graph = Graph()
    with pytest.raises(ValueError, match="step 1"):
        graph.input("x", X)[..., ::2]


def test_parts_of_the_graph_that_no_output_needs_are_left_out() -> None:
    graph = Graph()
    x, ops = graph.input("x", X), OnnxOps(graph)
    unused = graph.constant(np.ones(5, np.float32), "unused")
    _ = ops.exp(x * unused)
    model = graph.model({"y": x * 2.0}, "one")
    assert [node.op_type for node in model.graph.node] == ["Mul", "Identity"]
    assert "unused" not in {each.name for each in model.graph.initializer}
