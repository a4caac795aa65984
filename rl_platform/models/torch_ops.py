"""The operations in torch: what learners differentiate, and what samples networks too large for numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from rl_platform.models.ops import Array

NUMPY_TANH_FROM = 4096
"""Elements from which numpy's tanh repays the way there and back."""


class TorchOps:
    """`Ops` on torch tensors; see there for shapes."""

    name = "torch"

    def linear(self, x: Array, w: Array, b: Array) -> Array:
        return torch.addmm(b, x, w) if x.dim() == 2 else torch.matmul(x, w) + b

    def stacked_linear(self, x: Array, w: Array, b: Array) -> Array:
        return torch.baddbmm(b, x, w)

    def conv2d(self, x: Array, w: Array, b: Array, stride: int) -> Array:
        # A permuted [B, H, W, C] is torch's channels-last layout as it stands: nothing is copied on the way
        # in or out.
        return F.conv2d(x.permute(0, 3, 1, 2), w, b, stride).permute(0, 2, 3, 1)

    def lstm_cell(self, gates_x: Array, h: Array, c: Array, w_h: Array) -> tuple[Array, Array]:
        i, f, g, o = torch.addmm(gates_x, h, w_h).chunk(4, 1)
        c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
        return torch.sigmoid(o) * torch.tanh(c), c

    def activation(self, kind: str, x: Array) -> Array:
        return _ACTIVATIONS[kind](x)

    def exp(self, x: Array) -> Array:
        return torch.exp(x)

    def log(self, x: Array) -> Array:
        return torch.log(x)

    def softplus(self, x: Array) -> Array:
        return F.softplus(x)

    def sigmoid(self, x: Array) -> Array:
        return torch.sigmoid(x)

    def sqrt(self, x: Array) -> Array:
        return torch.sqrt(x)

    def log_softmax(self, x: Array) -> Array:
        return torch.log_softmax(x, -1)

    def sum(self, x: Array, axis: int) -> Array:
        return x.sum(axis)

    def mean(self, x: Array, axis: int) -> Array:
        return x.mean(axis)

    def max(self, x: Array, axis: int) -> Array:
        return x.amax(axis)

    def argmax(self, x: Array) -> Array:
        return x.argmax(-1)

    def where(self, condition: Array, a: Array, b: Array) -> Array:
        return torch.where(condition, a, b)

    def clip(self, x: Array, low: Array, high: Array) -> Array:
        return torch.clamp(x, low, high)

    def concat(self, xs: Sequence[Array], axis: int) -> Array:
        return torch.cat(list(xs), axis)

    def stack(self, xs: Sequence[Array], axis: int) -> Array:
        return torch.stack(list(xs), axis)

    def split(self, x: Array, sizes: Sequence[int]) -> list[Array]:
        return list(torch.split(x, list(sizes), -1))

    def reshape(self, x: Array, shape: Sequence[int]) -> Array:
        return x.reshape(tuple(shape))

    def transpose(self, x: Array, axes: Sequence[int]) -> Array:
        return x.permute(tuple(axes))

    def take(self, x: Array, index: Array) -> Array:
        return x.gather(-1, index.unsqueeze(-1)).squeeze(-1)

    def one_hot(self, index: Array, size: int) -> Array:
        return torch.eye(size, device=index.device)[index]

    def arange_mask(self, count: Array, size: int) -> Array:
        return torch.arange(size, device=count.device) < count.unsqueeze(-1)

    def cast(self, x: Array, dtype: str) -> Array:
        return x.to(_DTYPES[dtype])

    def constant(self, value: Any, like: Array) -> Array:
        return torch.as_tensor(value, device=like.device)


class _NumpyTanh(torch.autograd.Function):
    """Numpy's tanh of a float32 tensor on the CPU takes a tenth of the time of torch's (2 ulp from exact)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        y = torch.from_numpy(np.tanh(x.detach().numpy()))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (y,) = ctx.saved_tensors
        (gradient,) = gradients
        result: torch.Tensor = torch.ops.aten.tanh_backward(gradient, y)
        return result


def _tanh(x: torch.Tensor) -> torch.Tensor:
    worthwhile = x.numel() >= NUMPY_TANH_FROM and x.device.type == "cpu" and x.dtype is torch.float32
    if not worthwhile:
        return torch.tanh(x)
    result: torch.Tensor = _NumpyTanh.apply(x)
    return result


_DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": _tanh,
    "relu": torch.relu,
    "silu": F.silu,
    "gelu": F.gelu,
}

TORCH = TorchOps()
