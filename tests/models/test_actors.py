"""Actors, and the heads that objectives read: what was stored while acting is what is recomputed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces
from rl_platform.data.tree import ACTION_MASK
from rl_platform.models.actors import NumpyActor, TorchActor, make_actor
from rl_platform.models.build import actor_critic_policy, filtered_paths, initial_knobs, q_policy
from rl_platform.models.onnx_export import export_onnx
from rl_platform.models.policy import Policy
from tests.models import policies as p

LSTM = p.Model(recurrent=p.Recurrent("lstm"))


def loaded(policy: Policy, executor: Any = "auto", seed: int = 4) -> NumpyActor | TorchActor:
    actor = make_actor(policy, executor)
    actor.load(p.random_weights(policy.layout.size, seed), initial_knobs(policy), 1)
    return actor


def test_small_dense_networks_run_in_numpy_and_images_and_large_ones_in_torch() -> None:
    def executor(obs: dict[str, Leaf], model: p.Model) -> type:
        return type(make_actor(actor_critic_policy(Spaces(dict(obs), p.DISCRETE), model)))

    assert executor(p.BOX, p.Model()) is NumpyActor
    assert executor(p.SET_AND_BOX, LSTM) is NumpyActor
    assert executor(p.TINY_IMAGE, p.Model()) is TorchActor
    assert executor(p.BOX, p.Model((600, 600))) is TorchActor


def test_a_network_that_needs_torch_gets_torch_and_is_refused_by_numpy_and_onnx() -> None:
    model = p.Model(entrypoint=f"{__name__}:torch_only")
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), model)
    assert type(make_actor(policy)) is TorchActor
    with pytest.raises(ValueError, match="TorchOnly is not portable"):
        make_actor(policy, "numpy")
    with pytest.raises(ValueError, match="TorchOnly is not portable"):
        export_onnx(policy, policy.layout.initial(0), {})


class TorchOnly:
    portable = False
    params = ()
    state: dict[str, tuple[int, ...]] = {}  # noqa: RUF012

    def __init__(self, heads: dict[str, int]) -> None:
        self.heads = heads

    def forward(self, ops: Any, params: Any, obs: Any, state: Any, first: Any) -> Any:
        import torch

        return {name: torch.cummax(obs["obs"], 1).values[:, :size] for name, size in self.heads.items()}, {}


def torch_only(spaces: Spaces, heads: dict[str, int]) -> TorchOnly:
    return TorchOnly({name: min(size, 4) for name, size in heads.items()})


def test_acting_in_numpy_imports_neither_torch_nor_onnx() -> None:
    program = """
import sys
import numpy as np
from tests.models import policies as p
from rl_platform.data.spaces import Spaces
from rl_platform.models.actors import make_actor
from rl_platform.models.build import actor_critic_policy, initial_knobs
from rl_platform.models import filters, onnx_export, policy
chosen = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model(recurrent=p.Recurrent("lstm")))
actor = make_actor(chosen)
actor.load(chosen.layout.initial(0), initial_knobs(chosen), 0)
actor.act({"obs": np.ones((2, 4), np.float32)}, actor.initial_state(2), None, None)
print(sorted({"torch", "onnx", "onnxruntime", "mlflow", "gymnasium"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("executor", ["numpy", "torch"])
def test_a_row_without_a_legal_action_is_refused_with_its_number(executor: str) -> None:
    policy = actor_critic_policy(p.masked(p.BOX, p.DISCRETE), p.Model())
    obs = p.observations(policy.spaces, (4,), np.random.default_rng(0))
    obs[ACTION_MASK][2] = 0
    with pytest.raises(ValueError, match=r"no legal action in row 2 of 4 .*expected at least one 1"):
        loaded(policy, executor).act(obs, {}, None, None)


def test_a_component_without_a_legal_action_is_refused() -> None:
    policy = actor_critic_policy(p.masked(p.BOX, p.MULTI), p.Model())
    obs = p.observations(policy.spaces, (4,), np.random.default_rng(0))
    obs[ACTION_MASK][:] = 1
    obs[ACTION_MASK][1, 2:5] = 0
    with pytest.raises(ValueError, match="no legal action in row 1 of 4"):
        loaded(policy).act(obs, {}, None, None)


@pytest.mark.parametrize("executor", ["numpy", "torch"])
def test_an_actor_keeps_a_private_copy_of_its_weights(executor: str) -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
    flat = p.random_weights(policy.layout.size, 1)
    knobs = initial_knobs(policy)
    actor = make_actor(policy, executor)  # type: ignore[arg-type]
    actor.load(flat, knobs, 5)
    obs = {"obs": np.ones((1, 4), np.float32)}
    before = actor.act(obs, {}, None, None).extra["value"].copy()
    flat[:] = 9
    np.testing.assert_array_equal(actor.act(obs, {}, None, None).extra["value"], before)
    assert actor.version == 5


def test_the_number_of_threads_is_touched_only_when_asked_for() -> None:
    import torch

    before = torch.get_num_threads()
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
    try:
        torch.set_num_threads(2)
        make_actor(policy, "torch")
        assert torch.get_num_threads() == 2
        TorchActor(policy, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_weights_of_another_size_are_refused() -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
    with pytest.raises(ValueError, match=rf"has {policy.layout.size} parameters, .* of shape \(3,\)"):
        make_actor(policy).load(np.zeros(3, np.float32), {}, 0)


def test_read_only_observations_are_taken_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
    obs = np.ones((2, 4), np.float32)
    obs.flags.writeable = False
    loaded(policy, "torch").act({"obs": obs}, {}, None, None)
    assert not recwarn.list


def test_noise_has_the_columns_of_the_distribution_and_repeats_with_its_generator() -> None:
    actor = loaded(q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model()))
    assert actor.noise_width == 6
    one, two = (actor.draw_noise(np.random.Generator(np.random.Philox(key=[1, 2])), (3, 4)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (3, 4, 6)


def test_what_an_actor_says_besides_the_action_is_named() -> None:
    stochastic = actor_critic_policy(Spaces(dict(p.BOX), p.MULTI), p.Model())
    assert loaded(stochastic).extras == ("log_probability", "value")
    assert loaded(q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())).extras == ()


def test_the_filter_is_applied_and_clipped() -> None:
    model = p.Model(observation_filter="meanStd")
    policy = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), model)
    plain = actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
    flat = p.random_weights(policy.layout.size, 1)
    filtered, bare = NumpyActor(policy), NumpyActor(plain)
    mean, scale = np.array([1, 2, 3, 4], np.float32), np.array([0.5, 1, 2, 100], np.float32)
    filtered.load(flat, {"filter/obs/mean": mean, "filter/obs/scale": scale}, 0)
    bare.load(flat, {}, 0)
    obs = np.random.default_rng(0).standard_normal((6, 4), np.float32) * 3
    seen = np.clip((obs - mean) * scale, -10, 10)
    assert (np.abs(seen) == 10).any()
    found, expected = filtered.act({"obs": obs}, {}, None, None), bare.act({"obs": seen}, {}, None, None)
    np.testing.assert_allclose(found.extra["value"], expected.extra["value"], atol=1e-6)


def test_only_boxes_are_filtered() -> None:
    spaces = p.masked({**p.DICT, **p.SMALL_IMAGE, **p.SET}, p.DISCRETE)
    assert filtered_paths(spaces, p.Model(observation_filter="meanStd")) == ("obs/speed", "obs/grid")
    assert filtered_paths(spaces, p.Model()) == ()


ACTIONS: list[tuple[ActionSpace, bool]] = [
    (p.DISCRETE, True),
    (p.DISCRETE, False),
    (p.MULTI, True),
    (p.BOX_ACTION, False),
]


@pytest.mark.parametrize(("space", "masked"), ACTIONS)
@pytest.mark.parametrize("executor", ["numpy", "torch"])
def test_the_stored_log_probability_and_value_are_the_recomputed_ones(
    space: ActionSpace, masked: bool, executor: Any
) -> None:
    import torch

    spaces = p.masked(p.DICT, space) if masked else Spaces(dict(p.DICT), space)
    policy = actor_critic_policy(spaces, p.Model())
    actor, rng = loaded(policy, executor), np.random.default_rng(0)
    obs = p.observations(spaces, (50,), rng)
    act = actor.act(obs, {}, None, actor.draw_noise(rng, (50,)))
    params = policy.layout.views(torch.from_numpy(p.random_weights(policy.layout.size, 4)))
    batch = {path: torch.from_numpy(leaf) for path, leaf in {**obs, "action": act.action}.items()}
    heads = policy.heads(params, batch, {})
    stored, value = torch.from_numpy(act.extra["log_probability"]), torch.from_numpy(act.extra["value"])
    torch.testing.assert_close(heads.log_probability(batch["action"]), stored, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(heads["value"][:, 0], value, atol=1e-5, rtol=1e-5)
    assert heads.entropy().shape == (50,)


@pytest.mark.parametrize("ragged", [False, True])
def test_recurrent_heads_are_those_of_stepping_over_valid_rows_in_row_major_order(ragged: bool) -> None:
    import torch

    rng, steps, rows = np.random.default_rng(0), 6, 4
    policy = actor_critic_policy(p.masked(p.BOX, p.DISCRETE), LSTM)
    actor = loaded(policy)
    obs = p.observations(policy.spaces, (steps, rows), rng)
    state = {path: rng.standard_normal((rows, 12), np.float32) for path in policy.net.state}
    batch = {f"state/{path}": torch.from_numpy(leaf) for path, leaf in state.items()}
    first = rng.random((steps, rows)) < 0.3
    length = np.array([6, 2, 5, 0]) if ragged else np.full(4, 6)
    valid = np.arange(steps)[:, None] < length
    noise = actor.draw_noise(rng, (steps, rows))
    acts = []
    for t in range(steps):
        act = actor.act({path: leaf[t] for path, leaf in obs.items()}, state, first[t], noise[t])
        state = act.state
        acts.append(act)
    batch |= {path: torch.from_numpy(leaf) for path, leaf in obs.items()}
    batch |= {"first": torch.from_numpy(first), "valid": torch.from_numpy(valid)}
    params = policy.layout.views(torch.from_numpy(p.random_weights(policy.layout.size, 4)))
    heads = policy.heads(params, batch, {})
    action = np.stack([act.action for act in acts])[valid]
    expected = {name: np.stack([act.extra[name] for act in acts])[valid] for name in actor.extras}
    found = {
        "value": heads["value"][:, 0],
        "log_probability": heads.log_probability(torch.from_numpy(action)),
    }
    for name, leaf in expected.items():
        np.testing.assert_allclose(found[name].numpy(), leaf, atol=1e-5)
    assert heads.entropy().shape == (int(valid.sum()),)


def test_heads_read_the_observation_afterwards_under_its_prefix_and_hide_illegal_values() -> None:
    import torch

    policy = q_policy(p.masked(p.BOX, p.DISCRETE), p.Model())
    params = policy.layout.views(torch.from_numpy(p.random_weights(policy.layout.size, 4)))
    drawn = p.observations(policy.spaces, (9,), np.random.default_rng(0))
    now = {path: torch.from_numpy(leaf) for path, leaf in drawn.items()}
    later = {f"next/{path}": leaf for path, leaf in now.items()}
    heads = policy.heads(params, later, {}, prefix="next/")
    torch.testing.assert_close(heads["q"], policy.heads(params, now, {})["q"])
    legal = heads.legal("q")
    mask = now[ACTION_MASK].bool()
    torch.testing.assert_close(legal[mask], heads["q"][mask])
    assert (legal[~mask] == -1e9).all()


def test_gradients_reach_every_parameter() -> None:
    import torch

    for obs, space, model in (
        (p.BOX, p.BOX_ACTION, p.Model()),
        (p.SET_AND_BOX, p.DISCRETE, p.Model()),
        (p.SMALL_IMAGE, p.MULTI, p.Model()),
        (p.DICT, p.DISCRETE, LSTM),
    ):
        spaces = Spaces(dict(obs), space)
        policy = actor_critic_policy(spaces, model)
        flat = torch.from_numpy(p.random_weights(policy.layout.size, 4)).requires_grad_()
        rng, rows = np.random.default_rng(1), (5, 3) if policy.recurrent else (15,)
        batch = {path: torch.from_numpy(leaf) for path, leaf in p.observations(spaces, rows, rng).items()}
        if policy.recurrent:
            batch |= {f"state/{path}": torch.ones(3, 12) for path in policy.net.state}
            batch |= {
                "first": torch.zeros(rows, dtype=torch.bool),
                "valid": torch.ones(rows, dtype=torch.bool),
            }
        heads = policy.heads(policy.layout.views(flat), batch, {})
        action = torch.zeros((15, *space.shape), dtype=torch.float32 if space.kind == "box" else torch.int64)
        parts = (heads.log_probability(action), heads.entropy(), heads["value"].square())
        sum(part.sum() for part in parts).backward()
        assert flat.grad is not None
        for path, part in policy.layout.views(flat.grad).items():
            assert part.abs().max() > 0, path
