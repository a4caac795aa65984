"""Distributions against closed forms, torch.distributions and brute-force sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.spaces import ActionSpace
from rl_platform.models.actors import draw_noise
from rl_platform.models.distributions import (
    Categorical,
    DiagGaussian,
    EpsilonGreedy,
    MultiCategorical,
    distribution_for,
    epsilon_greedy,
)
from rl_platform.models.numpy_ops import NUMPY
from tests.models.policies import BOX_ACTION, DISCRETE, MULTI

RNG_ROWS = 100_000


def noise_for(
    distribution: Categorical | MultiCategorical | DiagGaussian | EpsilonGreedy, rows: int, seed: int = 0
) -> np.ndarray:
    return draw_noise(distribution.noise, np.random.default_rng(seed), (rows,))


def repeated(row: list[float], rows: int) -> np.ndarray:
    return np.repeat(np.array([row], np.float32), rows, axis=0)


def test_categorical_samples_have_the_probabilities_of_the_softmax() -> None:
    distribution = Categorical(DISCRETE)
    logits = repeated([0.0, 1.0, -1.0, 0.5, 2.0], RNG_ROWS)
    action, extra = distribution.act(
        NUMPY, {}, {"policy": logits}, None, noise_for(distribution, RNG_ROWS), {}
    )
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    found = np.bincount(action, minlength=5) / RNG_ROWS
    assert np.abs(found - expected).max() < 4 * math.sqrt(0.25 / RNG_ROWS)
    np.testing.assert_allclose(extra["log_probability"], np.log(expected)[action], atol=1e-6)


def test_no_illegal_action_is_drawn_in_100000_rows() -> None:
    rng = np.random.default_rng(1)
    mask = (rng.random((RNG_ROWS, 5)) < 0.3).astype(np.int8)
    mask[np.arange(RNG_ROWS), rng.integers(0, 5, RNG_ROWS)] = 1
    scores = (rng.standard_normal((RNG_ROWS, 5)) * 30).astype(np.float32)
    for distribution, head in ((Categorical(DISCRETE), "policy"), (EpsilonGreedy(DISCRETE), "q")):
        for noise in (noise_for(distribution, RNG_ROWS, 2), None):
            action, _ = distribution.act(NUMPY, {}, {head: scores}, mask, noise, {"epsilon": np.float32(0.7)})
            assert mask[np.arange(RNG_ROWS), action].all()


def test_no_illegal_component_is_drawn_in_100000_rows() -> None:
    rng = np.random.default_rng(1)
    distribution = MultiCategorical(MULTI)
    mask = (rng.random((RNG_ROWS, 9)) < 0.3).astype(np.int8)
    starts = np.array([0, 2, 5])
    mask[np.arange(RNG_ROWS)[:, None], starts + rng.integers(0, (2, 3, 4), (RNG_ROWS, 3))] = 1
    scores = (rng.standard_normal((RNG_ROWS, 9)) * 30).astype(np.float32)
    noise = noise_for(distribution, RNG_ROWS, 2)
    action, _ = distribution.act(NUMPY, {}, {"policy": scores}, mask, noise, {})
    assert mask[np.arange(RNG_ROWS)[:, None], starts + action].all()


def test_epsilon_greedy_explores_evenly_over_legal_actions_in_the_share_that_epsilon_says() -> None:
    distribution = EpsilonGreedy(DISCRETE)
    q = repeated([0.0, 9.0, 0.0, 0.0, 0.0], RNG_ROWS)
    mask = np.repeat(np.array([[1, 1, 0, 0, 1]], np.int8), RNG_ROWS, axis=0)
    noise = noise_for(distribution, RNG_ROWS)
    action, extra = distribution.act(NUMPY, {}, {"q": q}, mask, noise, {"epsilon": np.float32(0.3)})
    found = np.bincount(action, minlength=5) / RNG_ROWS
    np.testing.assert_allclose(found, [0.1, 0.8, 0.0, 0.0, 0.1], atol=0.006)
    assert extra == {}


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_epsilon_of_zero_never_explores_and_of_one_always_does(epsilon: float) -> None:
    distribution = EpsilonGreedy(DISCRETE)
    noise = noise_for(distribution, 10_000)
    knobs = {"epsilon": np.float32(epsilon)}
    action, _ = distribution.act(NUMPY, {}, {"q": repeated([0, 9, 0, 0, 0], 10_000)}, None, noise, knobs)
    share = 1.0 if epsilon == 0 else 0.2
    assert abs((action == 1).mean() - share) < 0.02


@pytest.mark.parametrize("space", [DISCRETE, MULTI, BOX_ACTION])
def test_zero_noise_and_no_noise_are_the_mode(space: ActionSpace) -> None:
    distribution = distribution_for(space)
    head = np.random.default_rng(0).standard_normal((20, sum(distribution.heads.values()))).astype(np.float32)
    params = {param.path: np.full(param.shape, 0.3, np.float32) for param in distribution.params}
    width = sum(width for _, width in distribution.noise)
    none = distribution.act(NUMPY, params, {"policy": head}, None, None, {})
    zero = distribution.act(NUMPY, params, {"policy": head}, None, np.zeros((20, width), np.float32), {})
    np.testing.assert_array_equal(none[0], zero[0])
    np.testing.assert_array_equal(none[1]["log_probability"], zero[1]["log_probability"])
    if space.kind == "box":
        np.testing.assert_array_equal(none[0].reshape(20, -1), head)


def test_zero_noise_is_greedy_even_when_epsilon_is_one() -> None:
    q = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    zero = np.zeros((20, 6), np.float32)
    action, _ = EpsilonGreedy(DISCRETE).act(NUMPY, {}, {"q": q}, None, zero, {"epsilon": np.float32(1)})
    np.testing.assert_array_equal(action, q.argmax(1))


def test_log_probability_and_entropy_are_those_of_torch_distributions() -> None:
    import torch
    from torch import distributions as reference

    from rl_platform.models.torch_ops import TORCH

    torch.manual_seed(0)
    logits = torch.randn(30, 9)
    categorical, multi = Categorical(ActionSpace("discrete", (), (9,), (0,))), MultiCategorical(MULTI)
    one = torch.randint(0, 9, (30,))
    expected = reference.Categorical(logits=logits)
    heads = {"policy": logits}
    torch.testing.assert_close(
        categorical.log_probability(TORCH, {}, heads, None, one), expected.log_prob(one)
    )
    torch.testing.assert_close(categorical.entropy(TORCH, {}, heads, None), expected.entropy())
    parts = [reference.Categorical(logits=part) for part in logits.split([2, 3, 4], 1)]
    several = torch.stack([part.sample() for part in parts], 1)
    joint = sum(part.log_prob(several[:, i]) for i, part in enumerate(parts))
    torch.testing.assert_close(multi.log_probability(TORCH, {}, heads, None, several), joint)
    torch.testing.assert_close(multi.entropy(TORCH, {}, heads, None), sum(part.entropy() for part in parts))
    gaussian, log_std = DiagGaussian(BOX_ACTION), torch.randn(4)
    normal = reference.Independent(reference.Normal(logits[:, :4], log_std.exp()), 1)
    x = normal.sample()
    mean = {"policy": logits[:, :4]}
    found = gaussian.log_probability(TORCH, {"log_std": log_std}, mean, None, x.reshape(30, 2, 2))
    torch.testing.assert_close(found, normal.log_prob(x))
    torch.testing.assert_close(gaussian.entropy(TORCH, {"log_std": log_std}, mean, None), normal.entropy())


def test_masked_entropy_counts_legal_actions_only_and_its_gradient_is_finite() -> None:
    import torch

    from rl_platform.models.torch_ops import TORCH

    logits = torch.zeros(2, 5, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 0, 1]], dtype=torch.int8)
    entropy = Categorical(DISCRETE).entropy(TORCH, {}, {"policy": logits}, mask)
    torch.testing.assert_close(entropy, torch.tensor([math.log(3), 0.0]))
    logp = Categorical(DISCRETE).log_probability(TORCH, {}, {"policy": logits}, mask, torch.tensor([1, 4]))
    torch.testing.assert_close(logp, torch.tensor([-math.log(3), 0.0]))
    (entropy.sum() + logp.sum()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert (logits.grad[mask == 0] == 0).all()


@settings(max_examples=50, deadline=None)
@given(
    mean=st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    log_std=st.floats(-2, 1),
    seed=st.integers(0, 2**31),
)
def test_the_stored_log_probability_of_a_gaussian_is_the_recomputed_one(
    mean: list[float], log_std: float, seed: int
) -> None:
    distribution = DiagGaussian(BOX_ACTION)
    params = {"log_std": np.full(4, log_std, np.float32)}
    heads = {"policy": np.array([mean], np.float32)}
    action, extra = distribution.act(NUMPY, params, heads, None, noise_for(distribution, 1, seed), {})
    again = distribution.log_probability(NUMPY, params, heads, None, action)
    np.testing.assert_allclose(extra["log_probability"], again, rtol=1e-4, atol=1e-4)


def test_box_actions_map_to_the_bounds_they_have() -> None:
    distribution = DiagGaussian(BOX_ACTION)  # [-1, 1], [2, 10], [-inf, inf], [0, inf]
    stored = np.array([[-1, -1, -7, -7], [0, 0, 0, 0], [1, 1, 7, 7], [5, 5, 50, 50]], np.float32)
    expected = [[-1, 2, -7, 0], [0, 6, 0, 0], [1, 10, 7, 7], [1, 10, 50, 50]]
    found = distribution.to_env(NUMPY, stored.reshape(4, 2, 2))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.reshape(4, 4), expected)


def test_bounds_beyond_every_number_count_as_none() -> None:
    largest = float(np.finfo(np.float32).max)
    distribution = DiagGaussian(ActionSpace("box", (1,), low=(-largest,), high=(largest,)))
    np.testing.assert_array_equal(distribution.to_env(NUMPY, np.array([[3.5]], np.float32)), [[3.5]])


def test_a_scalar_box_is_stored_and_sent_without_a_component_axis() -> None:
    distribution = DiagGaussian(ActionSpace("box", (), low=(0.0,), high=(4.0,)))
    action, extra = distribution.act(
        NUMPY, {"log_std": np.zeros(1, np.float32)}, {"policy": np.zeros((3, 1), np.float32)}, None, None, {}
    )
    assert action.shape == extra["log_probability"].shape == (3,)
    np.testing.assert_array_equal(distribution.to_env(NUMPY, action), [2, 2, 2])


def test_the_initial_deviation_can_be_chosen() -> None:
    (param,) = DiagGaussian(BOX_ACTION, log_std=-0.5).params
    assert (param.path, param.shape, param.init, param.gain) == ("log_std", (4,), "constant", -0.5)


def test_start_offsets_are_added_on_the_way_to_the_environment() -> None:
    np.testing.assert_array_equal(Categorical(DISCRETE).to_env(NUMPY, np.array([0, 4])), [-2, 2])
    np.testing.assert_array_equal(MultiCategorical(MULTI).to_env(NUMPY, np.array([[1, 2, 3]])), [[1, 3, 3]])


@pytest.mark.parametrize("space", [MULTI, BOX_ACTION])
def test_greedy_policies_over_other_action_spaces_are_refused_by_name(space: ActionSpace) -> None:
    with pytest.raises(ValueError, match=rf"{space.kind}.*expected discrete"):
        epsilon_greedy(space)


def test_a_greedy_policy_has_no_log_probability_and_no_entropy() -> None:
    greedy = epsilon_greedy(DISCRETE)
    assert not greedy.stochastic
    with pytest.raises(TypeError, match="no log-probability"):
        greedy.log_probability(NUMPY, {}, {}, None, np.zeros(1))
    with pytest.raises(TypeError, match="no entropy"):
        greedy.entropy(NUMPY, {}, {}, None)


def test_gumbel_noise_has_the_mean_and_variance_of_the_gumbel_distribution_and_is_finite() -> None:
    noise = draw_noise((("uniform", 1), ("gumbel", 2), ("normal", 1)), np.random.default_rng(3), (200, 1000))
    assert noise.dtype == np.float32
    assert noise.shape == (200, 1000, 4)
    assert np.isfinite(noise).all()
    uniform, gumbel, normal = noise[..., 0], noise[..., 1:3], noise[..., 3]
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert abs(gumbel.mean() - 0.5772) < 0.01
    assert abs(gumbel.var() - math.pi**2 / 6) < 0.02
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
