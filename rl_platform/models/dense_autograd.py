"""Dense layers for objectives written in torch: one node of the graph in place of one for each operation.

The node computes with `DensePass`; the rest of the objective is ordinary autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from rl_platform.models.dense import DenseLayers
from rl_platform.models.dense_pass import DensePass

Plain = Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]]
"""The same heads by ordinary operations, from the same parameters."""


def applies(params: Sequence[torch.Tensor], features: torch.Tensor) -> bool:
    """Whether the node can stand for the operations: float32 on the CPU, nothing but parameters to learn.

    Under `torch.func` transforms tensors have no memory to share, and autocast chooses a precision for each
    operation: there the operations stay as they are.
    """
    transformed = torch._C._are_functorch_transforms_active() or torch.is_autocast_enabled("cpu")
    if features.requires_grad or transformed:
        return False
    return all(
        leaf.dtype is torch.float32 and leaf.device.type == "cpu" and leaf.is_contiguous()
        for leaf in (features, *params)
    )


def dense_heads(
    net: DenseLayers, params: Mapping[str, torch.Tensor], features: torch.Tensor, plain: Plain
) -> dict[str, torch.Tensor]:
    """Heads [B, size] of features [B, F], differentiable in ``params`` (more than once by ``plain``)."""
    paths = net.paths
    heads = _DenseHeads.apply(net, features, plain, *(params[path] for path in paths))
    return dict(zip((head.name for head in net.heads), heads, strict=True))


class _DenseHeads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, net: DenseLayers, features: torch.Tensor, plain: Plain, *params: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        leaves = {path: leaf.detach().numpy() for path, leaf in zip(net.paths, params, strict=True)}
        ctx.done, ctx.plain = DensePass(net, leaves, len(features)), plain
        ctx.save_for_backward(*params)
        return tuple(torch.from_numpy(head) for head in ctx.done.forward(features.numpy()).values())

    @staticmethod
    def backward(ctx: Any, *heads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        params = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody differentiates the gradient: it has to be a graph itself
            again = torch.autograd.grad(ctx.plain(params), params, heads, create_graph=True)
            return (None, None, None, *again)
        net = ctx.done.net
        given = {
            head.name: np.ascontiguousarray(gradient.numpy())
            for head, gradient in zip(net.heads, heads, strict=True)
            if gradient is not None
        }
        gradients = [torch.empty_like(leaf) for leaf in params]
        views = dict(zip(net.paths, (leaf.numpy() for leaf in gradients), strict=True))
        ctx.done.backward(given, views)
        return (None, None, None, *gradients)
