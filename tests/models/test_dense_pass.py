"""Layers differentiated by hand are those of autograd, alone and inside a graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.spaces import Spaces
from rl_platform.models.build import actor_critic_policy, q_policy
from rl_platform.models.dense_pass import DensePass
from rl_platform.models.policy import Policy
from rl_platform.models.row_blocks import FEWEST, SHORT_WAY, rows_per_block
from rl_platform.models.torch_ops import TORCH
from tests.models import policies as p

ACTIVATIONS = ("tanh", "relu", "silu", "gelu")
OBSERVATIONS = {"box": p.BOX, "dict": p.DICT}
KINDS = st.sampled_from(["shared", "separate", "q"])
SIZES = st.lists(st.integers(1, 20), max_size=3)


def policy_of(kind: str, obs: str, hidden: tuple[int, ...], activation: str) -> Policy:
    spaces = Spaces(dict(OBSERVATIONS[obs]), p.DISCRETE)
    if kind == "q":
        return q_policy(spaces, p.Model(hidden, activation=activation))
    return actor_critic_policy(spaces, p.Model(hidden, activation=activation, share_trunk=kind))


def operations(policy: Policy, flat: torch.Tensor, obs: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Heads by one torch operation after the other."""
    seen = {path: torch.from_numpy(leaf) for path, leaf in obs.items()}
    return policy.net.forward(TORCH, policy.layout.views(flat), seen, {}, None)[0]


@settings(max_examples=60, deadline=None)
@given(
    kind=KINDS,
    obs=st.sampled_from(list(OBSERVATIONS)),
    hidden=SIZES,
    activation=st.sampled_from(ACTIVATIONS),
    rows=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_heads_and_gradients_are_those_of_autograd(
    kind: str, obs: str, hidden: list[int], activation: str, rows: int, seed: int
) -> None:
    policy = policy_of(kind, obs, tuple(hidden), activation)
    if policy.dense is None:  # separate trunks without layers: left to autograd
        assert kind == "separate"
        assert not hidden
        return
    rng = np.random.default_rng(seed)
    flat, seen = p.random_weights(policy.layout.size, seed), p.observations(policy.spaces, (rows,), rng)
    gradient = np.full_like(flat, np.nan)  # whatever is not written over shows
    done = DensePass(policy.dense, policy.layout.views(flat), rows)
    features = policy.dense.encoder.encode(TORCH, {}, {k: torch.from_numpy(v) for k, v in seen.items()})
    heads = done.forward(features.numpy())
    pull = {name: rng.standard_normal(head.shape, np.float32) for name, head in heads.items()}
    done.backward(pull, policy.layout.views(gradient))

    theirs = torch.from_numpy(flat).requires_grad_()
    expected = operations(policy, theirs, seen)
    for name, head in expected.items():
        np.testing.assert_allclose(heads[name], head.detach(), atol=1e-5)
    torch.stack([(expected[name] * torch.from_numpy(g)).sum() for name, g in pull.items()]).sum().backward()
    np.testing.assert_allclose(gradient, theirs.grad, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["shared", "separate", "q"])
@pytest.mark.parametrize("rows", [244, 245, 256, 1021, 1800])  # one block, and several, and a prime number
def test_rows_in_blocks_are_those_of_autograd(kind: str, rows: int) -> None:
    policy = policy_of(kind, "box", (64, 64), "tanh")
    assert policy.dense is not None
    rng = np.random.default_rng(rows)
    flat, x = p.random_weights(policy.layout.size, 1), rng.standard_normal((rows, 4), np.float32)
    done, gradient = DensePass(policy.dense, policy.layout.views(flat), rows), np.full_like(flat, np.nan)
    heads = done.forward(x)
    pull = {name: rng.standard_normal(head.shape, np.float32) / rows for name, head in heads.items()}
    for _ in range(2):  # what the first pass has left behind does not count
        done.backward(pull, policy.layout.views(gradient))

    theirs = torch.from_numpy(flat).requires_grad_()
    expected = operations(policy, theirs, {"obs": x})
    for name, head in expected.items():
        np.testing.assert_allclose(heads[name], head.detach(), rtol=1e-4, atol=1e-4)
    torch.stack([(expected[name] * torch.from_numpy(g)).sum() for name, g in pull.items()]).sum().backward()
    np.testing.assert_allclose(gradient, theirs.grad, rtol=1e-3, atol=1e-4)


@given(rows=st.integers(1, 10_000), weights=st.integers(1, 10**7))
def test_blocks_share_out_all_rows_and_take_the_short_way_where_they_can(rows: int, weights: int) -> None:
    block = rows_per_block(rows, weights)
    assert rows % block == 0
    short = [n for n in range(FEWEST, rows + 1) if rows % n == 0 and n * weights <= SHORT_WAY]
    if rows * weights > SHORT_WAY:
        assert block == (max(short) if short else rows)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_pass_that_only_reads_says_the_same(activation: str) -> None:
    policy = policy_of("separate", "box", (8, 8), activation)
    assert policy.dense is not None
    views = policy.layout.views(p.random_weights(policy.layout.size, 1))
    x = np.random.default_rng(0).standard_normal((5, 4), np.float32)
    done = DensePass(policy.dense, views, 5)
    learning = done.forward(x)
    for name, head in done.forward(x, learn=False).items():
        np.testing.assert_array_equal(head, learning[name])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_head_without_influence_takes_no_part(activation: str) -> None:
    policy = policy_of("separate", "box", (8,), activation)
    flat = torch.from_numpy(p.random_weights(policy.layout.size, 1)).requires_grad_()
    batch = {"obs": torch.randn(6, 4)}
    policy.heads(policy.layout.views(flat), batch, {})["policy"].sum().backward()
    assert flat.grad is not None
    views = policy.layout.views(flat.grad)
    assert not views["head/value/w"].any()
    assert not views["dense0/w"][:, 8:].any()
    assert views["dense0/w"][:, :8].any()


def test_autocast_keeps_its_say_over_the_products() -> None:
    policy = policy_of("separate", "box", (8,), "tanh")
    views = policy.layout.views(torch.from_numpy(p.random_weights(policy.layout.size, 1)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert policy.heads(views, {"obs": torch.randn(6, 4)}, {})["policy"].dtype is torch.bfloat16


def squares(heads: dict[str, torch.Tensor]) -> torch.Tensor:
    return heads["policy"].square().sum() + heads["value"].sin().sum()


def test_gradients_of_gradients_and_functional_transforms_are_those_of_the_operations() -> None:
    policy = policy_of("separate", "box", (8, 8), "tanh")
    start = torch.from_numpy(p.random_weights(policy.layout.size, 1))
    obs = p.observations(policy.spaces, (7,), np.random.default_rng(0))
    batch = {path: torch.from_numpy(leaf) for path, leaf in obs.items()}

    def by_node(flat: torch.Tensor) -> torch.Tensor:
        heads = policy.heads(policy.layout.views(flat), batch, {})
        return squares({name: heads[name] for name in ("policy", "value")})

    def by_operations(flat: torch.Tensor) -> torch.Tensor:
        return squares(operations(policy, flat, obs))

    twice = []
    for function in (by_node, by_operations):
        flat = start.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(flat), flat, create_graph=True)
        twice.append(torch.autograd.grad(gradient.square().sum(), flat)[0])
    torch.testing.assert_close(twice[0], twice[1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        torch.func.grad(by_node)(start), torch.func.grad(by_operations)(start), rtol=1e-4, atol=1e-4
    )
