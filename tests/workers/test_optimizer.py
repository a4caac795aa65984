from __future__ import annotations

import numpy as np
import pytest
import torch

from rl_platform.workers.optimizer import FlatOptimizer, Optimizer


@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_a_step_equals_that_of_torch(max_norm: float | None) -> None:
    torch.manual_seed(0)
    start = torch.randn(50)
    flat, gradient = start.clone(), torch.zeros(50)
    ours = FlatOptimizer(flat, gradient, Optimizer(max_grad_norm=max_norm))
    theirs = torch.nn.Parameter(start.clone())
    reference = torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        step = torch.randn(50)
        gradient.copy_(step)
        theirs.grad = step.clone()
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([theirs], max_norm)
        ours.step(0.01)
        reference.step()
    np.testing.assert_allclose(flat, theirs.detach(), rtol=1e-4, atol=2e-5)


def test_a_restored_optimizer_goes_on_bit_for_bit() -> None:
    flat, gradient = torch.ones(8), torch.zeros(8)
    optimizer = FlatOptimizer(flat, gradient, Optimizer())
    gradient.copy_(torch.arange(8.0))
    optimizer.step(0.1)
    other_flat, other_gradient = flat.clone(), torch.zeros(8)
    other = FlatOptimizer(other_flat, other_gradient, Optimizer())
    other.restore(optimizer.snapshot())
    for each, buffer in ((optimizer, gradient), (other, other_gradient)):
        buffer.copy_(torch.arange(8.0).flip(0))
        each.step(0.1)
    assert torch.equal(flat, other_flat)
