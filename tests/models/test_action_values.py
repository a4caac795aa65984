from __future__ import annotations

import numpy as np
import torch

from rl_platform.models.action_values import action_values, by_heads, value_heads
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.torch_ops import TORCH


def test_one_head_is_taken_as_it_is() -> None:
    q = np.arange(6.0).reshape(2, 3)
    assert value_heads(3, dueling=False) == {"q": 3}
    assert action_values(NUMPY, {"q": q}) is q
    assert by_heads({"q": q}, q)["q"] is q


def test_a_dueling_network_adds_advantages_to_the_state_value_around_their_mean_over_actions() -> None:
    rng = np.random.default_rng(1)
    assert value_heads(4, dueling=True) == {"advantage": 4, "state_value": 1}
    heads = {name: rng.normal(size=(5, size)) for name, size in value_heads(4, dueling=True).items()}
    q = action_values(NUMPY, heads)
    for row in range(5):
        for action in range(4):
            mean = sum(heads["advantage"][row]) / 4
            expected = heads["state_value"][row, 0] + heads["advantage"][row, action] - mean
            assert np.isclose(q[row, action], expected)


def test_its_gradient_is_that_of_autograd() -> None:
    rng = np.random.default_rng(2)
    heads = {name: rng.normal(size=(5, size)) for name, size in value_heads(4, dueling=True).items()}
    by_q = rng.normal(size=(5, 4))
    leaves = {name: torch.tensor(leaf, requires_grad=True) for name, leaf in heads.items()}
    (action_values(TORCH, leaves) * torch.tensor(by_q)).sum().backward()
    for name, gradient in by_heads(heads, by_q).items():
        np.testing.assert_allclose(gradient, leaves[name].grad, rtol=1e-6)
