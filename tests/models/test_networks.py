"""Networks: initialisation, recurrence, sets, images, trunks, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces
from rl_platform.models.build import actor_critic_policy, initial_knobs, q_policy
from rl_platform.models.encoders import MEDIUM, NATURE, SMALL, conv_stack
from rl_platform.models.net import Layout, Param
from rl_platform.models.networks import StackedNet, build_net
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.set_encoder import SetEncoder
from rl_platform.models.towers import TowerNet
from tests.models import policies as p

PLAIN = p.Model()
LSTM = p.Model(recurrent=p.Recurrent("lstm"))


def forward(net: Any, flat: np.ndarray, obs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    heads, _ = net.forward(NUMPY, Layout(net.params).views(flat), obs, {}, None)
    return heads


def net_and_weights(obs: dict[str, Leaf], model: p.Model = PLAIN, size: int = 3) -> tuple[Any, np.ndarray]:
    net = build_net(Spaces(dict(obs), p.DISCRETE), model, {"policy": size, "value": 1}, {}, None)
    return net, p.random_weights(Layout(net.params).size, 5)


def test_flat_actor_critics_have_separate_stacked_trunks_and_everything_else_shares_one() -> None:
    assert isinstance(actor_critic_policy(Spaces(dict(p.DICT), p.DISCRETE), p.Model()).net, StackedNet)
    for obs, model in ((p.SET, p.Model()), (p.TINY_IMAGE, p.Model()), (p.BOX, LSTM)):
        net = actor_critic_policy(Spaces(dict(obs), p.DISCRETE), model).net
        assert isinstance(net, TowerNet)
        assert len(net.towers) == 1
    for share, towers in (("shared", 1), ("separate", 2)):
        model = p.Model(share_trunk=share, recurrent=p.Recurrent("lstm"))
        net = actor_critic_policy(Spaces(dict(p.SET), p.DISCRETE), model).net
        assert isinstance(net, TowerNet)
        assert len(net.towers) == towers
    assert isinstance(q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model()).net, TowerNet)


def test_stacked_trunks_equal_two_networks_of_their_own() -> None:
    stacked, flat = net_and_weights(p.BOX)
    views = Layout(stacked.params).views(flat)
    obs = p.observations(Spaces(dict(p.BOX), p.DISCRETE), (6,), np.random.default_rng(0))
    found = forward(stacked, flat, obs)
    for i, head in enumerate(("policy", "value")):
        mine = slice(16 * i, 16 * i + 16)
        x = np.tanh(obs["obs"] @ views["dense0/w"][:, mine] + views["dense0/b"][mine])
        x = np.tanh(x @ views["dense1/w"][i] + views["dense1/b"][i])
        np.testing.assert_allclose(
            found[head], x @ views[f"head/{head}/w"] + views[f"head/{head}/b"], atol=1e-6
        )


def test_hidden_layers_start_orthogonal_with_gain_root_two_and_heads_with_their_own() -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model((16, 16)))
    views = policy.layout.views(policy.layout.initial(3))
    for trunk in range(2):
        first = views["dense0/w"][:, 16 * trunk : 16 * trunk + 16]
        np.testing.assert_allclose(first @ first.T, 2 * np.eye(4), atol=1e-5)
        second = views["dense1/w"][trunk]
        np.testing.assert_allclose(second @ second.T, 2 * np.eye(16), atol=1e-5)
    assert not np.allclose(views["dense1/w"][0], views["dense1/w"][1])
    np.testing.assert_allclose(np.linalg.norm(views["head/policy/w"], axis=0), 0.01, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(views["head/value/w"], axis=0), 1.0, rtol=1e-5)
    for path, view in views.items():
        assert not path.endswith("/b") or not view.any()


def test_convolutions_start_orthogonal_over_their_outputs() -> None:
    net, _ = net_and_weights(p.IMAGE)
    views = Layout(net.params).views(Layout(net.params).initial(0))
    kernel = views["encoder/obs/conv2/w"].reshape(64, -1)
    np.testing.assert_allclose(kernel @ kernel.T, 2 * np.eye(64), atol=1e-4)


def test_the_forget_gate_starts_open() -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), LSTM)
    bias = policy.layout.views(policy.layout.initial(0))["lstm/b"].reshape(4, 12)
    np.testing.assert_array_equal(bias, np.array([0, 1, 0, 0])[:, None] * np.ones(12))


def test_parameters_depend_on_the_seed_and_on_their_position_alone() -> None:
    a, b = Param("a", (3, 3), "orthogonal", 1.0), Param("b", (3, 3), "orthogonal", 1.0)
    one, two = Layout([a, b]).initial(1), Layout([a, b]).initial(2)
    np.testing.assert_array_equal(one, Layout([a, b]).initial(1))
    assert not np.allclose(one, two)
    assert not np.allclose(one[:9], one[9:])
    np.testing.assert_array_equal(one[:9], Layout([a]).initial(1))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 9), rows=st.integers(1, 4))
def test_a_sequence_gives_what_stepping_gives_with_resets_in_the_middle(
    seed: int, steps: int, rows: int
) -> None:
    import torch

    from rl_platform.models.torch_ops import TORCH

    rng = np.random.default_rng(seed)
    spaces = Spaces(dict(p.SET_AND_BOX), p.DISCRETE)
    net = build_net(spaces, LSTM, {"policy": 3, "value": 1}, {}, None)
    params = Layout(net.params).views(torch.from_numpy(p.random_weights(Layout(net.params).size, 5)))
    obs = {path: torch.from_numpy(leaf) for path, leaf in p.observations(spaces, (steps, rows), rng).items()}
    state = {path: torch.from_numpy(rng.standard_normal((rows, 12), np.float32)) for path in net.state}
    first = torch.from_numpy(rng.random((steps, rows)) < 0.3)
    whole, last = net.forward(TORCH, params, obs, state, first)
    for t in range(steps):
        now = {path: leaf[t] for path, leaf in obs.items()}
        heads, state = net.forward(TORCH, params, now, state, first[t])
        for name, head in heads.items():
            torch.testing.assert_close(whole[name][t], head, atol=1e-5, rtol=1e-5)
    for path, leaf in state.items():
        torch.testing.assert_close(last[path], leaf, atol=1e-5, rtol=1e-5)


def test_a_first_row_forgets_and_others_remember() -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), LSTM)
    params = policy.layout.views(p.random_weights(policy.layout.size, 1))
    obs = {"obs": np.ones((2, 4), np.float32)}
    state = {path: np.full((2, 12), 0.5, np.float32) for path in policy.net.state}
    heads, after = policy.net.forward(NUMPY, params, obs, state, np.array([True, False]))
    zero = {path: np.zeros((2, 12), np.float32) for path in policy.net.state}
    fresh, fresh_after = policy.net.forward(NUMPY, params, obs, zero, None)
    np.testing.assert_array_equal(heads["value"][0], fresh["value"][0])
    assert abs(heads["value"][1] - fresh["value"][1]) > 1e-4
    np.testing.assert_array_equal(after["lstm/h"][0], fresh_after["lstm/h"][0])


def test_the_lstm_cell_is_that_of_torch() -> None:
    import torch

    from rl_platform.models.torch_ops import TORCH

    torch.manual_seed(0)
    cell = torch.nn.LSTMCell(3, 5)
    x, h, c = torch.randn(4, 3), torch.randn(4, 5), torch.randn(4, 5)
    gates = x @ cell.weight_ih.T + cell.bias_ih + cell.bias_hh
    expected = cell(x, (h, c))
    found = TORCH.lstm_cell(gates, h, c, cell.weight_hh.T)
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1])


def test_padding_of_a_set_never_leaks_whatever_is_in_it() -> None:
    for obs_spec, model in ((p.SET_AND_BOX, p.Model()), (p.SET_AND_BOX, p.Model(encoder="flat"))):
        net, flat = net_and_weights(obs_spec, model)
        obs = p.observations(Spaces(dict(obs_spec), p.DISCRETE), (6,), np.random.default_rng(0))
        obs["obs/others/count"] = np.arange(6)
        before = forward(net, flat, obs)
        values = obs["obs/others/values"]
        for filler in (np.nan, 1e30, -1.0):
            values[np.arange(5) >= obs["obs/others/count"][:, None]] = filler
            after = forward(net, flat, obs)
            for name, head in before.items():
                np.testing.assert_array_equal(head, after[name])


def test_padding_of_a_set_gets_no_gradient_and_gives_none_that_is_not_finite() -> None:
    import torch

    from rl_platform.models.torch_ops import TORCH

    net, flat = net_and_weights(p.SET)
    views = Layout(net.params).views(torch.from_numpy(flat))
    params = {path: view.requires_grad_() for path, view in views.items()}
    values = torch.full((3, 5, 3), torch.nan)
    values[1, :2] = 1.0
    values[2] = 0.5
    obs = {"obs/values": values, "obs/count": torch.tensor([0, 2, 5])}
    heads, _ = net.forward(TORCH, params, obs, {}, None)
    sum(head.square().sum() for head in heads.values()).backward()
    for path, view in params.items():
        assert view.grad is not None, path
        assert view.grad.isfinite().all(), path


def test_the_order_of_a_sets_elements_means_nothing_and_every_real_one_counts() -> None:
    net, flat = net_and_weights(p.SET)
    rng = np.random.default_rng(0)
    obs = {"obs/values": rng.standard_normal((1, 5, 3), np.float32), "obs/count": np.array([4])}
    before = forward(net, flat, obs)["policy"]
    turned = {**obs, "obs/values": obs["obs/values"][:, [2, 0, 3, 1, 4]]}
    np.testing.assert_allclose(forward(net, flat, turned)["policy"], before, atol=1e-5)
    for element in range(4):
        moved = {**obs, "obs/values": obs["obs/values"].copy()}
        moved["obs/values"][0, element] += 1.0
        assert np.abs(forward(net, flat, moved)["policy"] - before).max() > 1e-4


@pytest.mark.parametrize("count", range(6))
def test_a_set_encodes_to_the_same_however_many_places_are_left_and_an_empty_one_to_zeros(count: int) -> None:
    roomy = SetEncoder("obs/values", (5, 3), 2, "tanh", "")
    params = Layout(roomy.params).views(p.random_weights(Layout(roomy.params).size, 5))
    rng = np.random.default_rng(0)
    context = rng.standard_normal((1, 2), np.float32)
    values = rng.standard_normal((1, 5, 3), np.float32)
    obs = {"obs/values": values, "obs/count": np.array([count])}
    found = roomy.encode(NUMPY, params, obs, context)
    if count == 0:
        np.testing.assert_array_equal(found, 0)
        return
    full = SetEncoder("obs/values", (count, 3), 2, "tanh", "")
    whole = full.encode(NUMPY, params, {"obs/values": values[:, :count]}, context)
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_which_element_a_set_attends_to_depends_on_the_rest_of_the_observation() -> None:
    net, flat = net_and_weights(p.SET_AND_BOX)
    views = Layout(net.params).views(flat)
    rng = np.random.default_rng(0)
    obs = p.observations(Spaces(dict(p.SET_AND_BOX), p.DISCRETE), (1,), rng)
    obs["obs/others/count"] = np.array([5])
    (encoder,) = net.towers[0].encoder.sets
    near = encoder.encode(NUMPY, views, obs, np.array([[3.0, -3.0]], np.float32))
    far = encoder.encode(NUMPY, views, obs, np.array([[-3.0, 3.0]], np.float32))
    np.testing.assert_array_equal(near[:, :128], far[:, :128])
    assert np.abs(near[:, 128:] - far[:, 128:]).max() > 1e-3


@pytest.mark.parametrize(
    ("side", "layers", "units"), [(84, NATURE, 512), (36, NATURE, 512), (35, MEDIUM, 256), (12, MEDIUM, 256),
                                  (11, SMALL, 256), (5, SMALL, 256), (4, (), 256), (1, (), 256)]
)  # fmt: skip
def test_the_convolutions_fit_the_image(side: int, layers: tuple[object, ...], units: int) -> None:
    assert conv_stack(side, side + 5) == (layers, units)
    net, flat = net_and_weights({"obs": Leaf("image", (side, side + 5, 1), "uint8")})
    image = np.zeros((2, side, side + 5, 1), np.uint8)
    assert forward(net, flat, {"obs": image})["policy"].shape == (2, 3)


def test_the_nature_network_has_its_published_sizes() -> None:
    net, _ = net_and_weights({"obs": Leaf("image", (84, 84, 4), "uint8")}, p.Model(()), size=6)
    shapes = {param.path: param.shape for param in net.params}
    assert shapes["encoder/obs/dense/w"] == (7 * 7 * 64, 512)
    assert shapes["head/policy/w"] == (512, 6)
    assert Layout(net.params).size == 1_684_128 + 512 * 7 + 7


@pytest.mark.parametrize("shape", [(36, 36, 1), (4, 4, 1)])
def test_bytes_are_scaled_to_one_exactly_once(shape: tuple[int, ...]) -> None:
    net, flat = net_and_weights({"obs": Leaf("image", shape, "uint8")})
    boxed, _ = net_and_weights({"obs": Leaf("box", shape, "float32")}, p.Model(encoder="conv"))
    image = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    by_hand = {"obs": image.astype(np.float32) / 255}
    for name, head in forward(boxed, flat, by_hand).items():
        np.testing.assert_allclose(forward(net, flat, {"obs": image})[name], head, rtol=1e-4, atol=1e-5)


def test_convolutions_are_those_of_torch() -> None:
    import torch

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 9, 8, 3), np.float32), rng.standard_normal((5, 3, 4, 2), np.float32)
    b = rng.standard_normal(5).astype(np.float32)
    expected = torch.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(w), torch.from_numpy(b), 2
    )
    np.testing.assert_allclose(NUMPY.conv2d(x, w, b, 2), expected.permute(0, 2, 3, 1).numpy(), atol=1e-4)


def test_every_leaf_of_a_mixed_observation_reaches_the_heads() -> None:
    net, flat = net_and_weights(p.DICT)
    spaces = Spaces(dict(p.DICT), p.DISCRETE)
    obs = p.observations(spaces, (1,), np.random.default_rng(0))
    before = forward(net, flat, obs)["policy"]
    for path, leaf in p.DICT.items():
        if leaf.kind == "box":
            other = obs[path] + 1
        else:
            other = (obs[path] + 1) % (np.array(leaf.categories) if leaf.shape else leaf.categories[0])
        assert np.abs(forward(net, flat, {**obs, path: other})["policy"] - before).max() > 1e-4, path


@pytest.mark.parametrize("encoder", ["conv", "set"])
def test_an_encoder_that_fits_no_leaf_is_refused(encoder: str) -> None:
    with pytest.raises(ValueError, match=rf"model.encoder is '{encoder}'.*obs \(box \(4,\)\)"):
        net_and_weights(p.BOX, p.Model(encoder=encoder))


def test_an_observation_without_anything_to_read_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        actor_critic_policy(p.masked({}, p.DISCRETE), p.Model())


def test_a_set_without_a_count_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'obs/count' too"):
        net_and_weights({"obs/values": p.SET["obs/values"]})


class Sum:
    """A network of a user's own: the sum of the observation, scaled, in every head."""

    portable = True
    state: dict[str, tuple[int, ...]] = {}  # noqa: RUF012

    def __init__(self, heads: dict[str, int], gain: float) -> None:
        self.heads = heads
        self.params = (Param("scale", (1,), "constant", gain),)

    def forward(self, ops: Any, params: Any, obs: Any, state: Any, first: Any) -> Any:
        total = ops.sum(obs["obs"], -1)[..., None] * params["scale"]
        return {name: ops.concat([total] * size, -1) for name, size in self.heads.items()}, {}


def build_sum(spaces: Spaces, heads: dict[str, int], gain: float = 1.0) -> Sum:
    assert "obs" in spaces.obs
    return Sum(heads, gain)


def not_a_net(spaces: Spaces, heads: dict[str, int]) -> object:
    return object()


def test_an_entrypoint_builds_a_network_of_ones_own() -> None:
    from rl_platform.models.actors import make_actor

    model = p.Model(entrypoint=f"{__name__}:build_sum", kwargs={"gain": 2.0})
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), model)
    actor = make_actor(policy)
    actor.load(policy.layout.initial(0), initial_knobs(policy), 1)
    act = actor.act({"obs": np.ones((2, 4), np.float32)}, {}, None, None)
    np.testing.assert_array_equal(act.extra["value"], [8, 8])


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("nowhere:build", "model.entrypoint 'nowhere:build': there is no module 'nowhere'; install it"),
        (f"{__name__}:build_su", "has no 'build_su'; did you mean build_sum"),
        (f"{__name__}:pytest", "model.kwargs, raised TypeError: .module. object is not callable"),
        (f"{__name__}:not_a_net", "returned object without portable, params, state, forward"),
    ],
)
def test_an_entrypoint_that_does_not_work_is_refused(entrypoint: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model(entrypoint=entrypoint))


def test_a_missing_entrypoint_is_also_an_import_error_for_whoever_rebuilds_a_policy() -> None:
    with pytest.raises(ImportError, match="PYTHONPATH"):
        actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model(entrypoint="nowhere:build"))


def test_the_specification_of_a_manifest_builds_a_policy_as_it_stands() -> None:
    from rl_platform.spec.model import ModelSpec

    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), ModelSpec())
    assert policy.layout.size == 4 * 128 + 128 + 2 * (64 * 64 + 64) + 65 * 6


def test_parameter_paths_must_be_unique() -> None:
    with pytest.raises(ValueError, match="unique"):
        Layout([Param("a", (1,)), Param("a", (2,))])


def test_a_box_of_any_action_shape_gets_a_head_of_its_size() -> None:
    space = ActionSpace("box", (2, 3), low=(-1.0,) * 6, high=(1.0,) * 6)
    policy = actor_critic_policy(Spaces(dict(p.BOX), space), p.Model())
    assert policy.layout.shapes["head/policy/w"] == (8, 6)
