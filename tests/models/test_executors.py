"""The contract of the executors: numpy, torch and onnxruntime give the same answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces
from rl_platform.models.actors import Actor, NumpyActor, TorchActor
from rl_platform.models.build import build_policy, initial_knobs
from rl_platform.models.onnx_actor import OnnxActor
from rl_platform.models.policy import Act, Policy
from tests.models import policies as p

ENCODERS = {
    "box": p.BOX,
    "dict": p.DICT,
    "nature image": p.IMAGE,
    "small image beside a box": p.SMALL_IMAGE,
    "tiny image": p.TINY_IMAGE,
    "speck": p.SPECK,
    "set": p.SET,
    "set beside a box": p.SET_AND_BOX,
}
ACTIONS: dict[str, tuple[str, ActionSpace]] = {
    "categorical": ("actor_critic", p.DISCRETE),
    "multi-categorical": ("actor_critic", p.MULTI),
    "gaussian": ("actor_critic", p.BOX_ACTION),
    "greedy": ("q", p.DISCRETE),
}


def cases() -> list[tuple[str, str, str, bool, bool]]:
    """Encoder, action, recurrent, masked, filtered: all that make sense."""
    every = itertools.product(ENCODERS, ACTIONS, ("none", "lstm"), (False, True), (False, True))
    return [
        case
        for case in every
        if not (case[3] and case[1] == "gaussian")
        and not (case[4] and not any(leaf.kind == "box" for leaf in ENCODERS[case[0]].values()))
    ]


def policy_of(obs: dict[str, Leaf], action: str, masked: bool, model: p.Model) -> Policy:
    kind, space = ACTIONS[action]
    spaces = p.masked(obs, space) if masked else Spaces(dict(obs), space)
    return build_policy(spaces, model, kind)  # type: ignore[arg-type]


def agree(one: Act, other: Act, what: str) -> None:
    pairs = {"action": (one.action, other.action), "environment action": (one.env_action, other.env_action)}
    pairs |= {f"state {path}": (leaf, other.state[path]) for path, leaf in one.state.items()}
    pairs |= {f"extra {name}": (leaf, other.extra[name]) for name, leaf in one.extra.items()}
    assert set(one.state) == set(other.state)
    assert set(one.extra) == set(other.extra)
    for name, (a, b) in pairs.items():
        assert a.dtype == b.dtype, f"{what}: {name} is {a.dtype} and {b.dtype}"
        assert a.shape == b.shape, f"{what}: {name} is {a.shape} and {b.shape}"
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=f"{what}: {name}")


def compare_executors(policy: Policy, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flat = p.random_weights(policy.layout.size, seed)
    knobs = {name: rng.uniform(0.3, 0.9, knob.shape) for name, knob in initial_knobs(policy).items()}
    actors: list[Actor] = [NumpyActor(policy), TorchActor(policy), OnnxActor(policy)]
    for actor in actors:
        actor.load(flat, knobs, 3)
        assert actor.version == 3
    for rows in (1, 7):
        obs = p.observations(policy.spaces, (rows,), rng)
        shapes = policy.net.state.items()
        state = {path: rng.standard_normal((rows, *shape), np.float32) for path, shape in shapes}
        first = rng.random(rows) < 0.4 if state else None
        noise = actors[0].draw_noise(rng, (rows,))
        for drawn in (None, noise, np.zeros_like(noise)):
            by_numpy, *others = (actor.act(obs, state, first, drawn) for actor in actors)
            for actor, other in zip(actors[1:], others, strict=True):
                agree(by_numpy, other, f"numpy and {type(actor).__name__} on {rows} rows")


@pytest.mark.parametrize(("encoder", "action", "recurrent", "masked", "filtered"), cases())
def test_the_executors_agree(encoder: str, action: str, recurrent: str, masked: bool, filtered: bool) -> None:
    model = p.Model(
        recurrent=p.Recurrent(recurrent),
        observation_filter="meanStd" if filtered else "none",
        activation="silu",
    )
    compare_executors(policy_of(ENCODERS[encoder], action, masked, model), 7)


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "gelu"])
@pytest.mark.parametrize("share_trunk", ["auto", "shared", "separate"])
@pytest.mark.parametrize("hidden", [(), (9,), (16, 16, 8)])
def test_the_executors_agree_on_every_activation_trunk_and_depth(
    activation: str, share_trunk: str, hidden: tuple[int, ...]
) -> None:
    model = p.Model(hidden, activation, share_trunk=share_trunk)
    compare_executors(policy_of(p.BOX, "categorical", False, model), 8)


@pytest.mark.parametrize("encoder", ["set beside a box", "small image beside a box", "box"])
@pytest.mark.parametrize("recurrent", ["none", "lstm"])
def test_the_executors_agree_on_separate_trunks_of_any_encoder(encoder: str, recurrent: str) -> None:
    model = p.Model(share_trunk="separate", recurrent=p.Recurrent(recurrent))
    compare_executors(policy_of(ENCODERS[encoder], "categorical", False, model), 9)


@pytest.mark.parametrize(
    ("encoder", "obs"),
    [
        ("flat", p.SET_AND_BOX),
        ("flat", p.SMALL_IMAGE),
        ("conv", {"obs": Leaf("box", (12, 12, 2), "float32")}),
        ("set", {"obs": Leaf("box", (4, 3), "float32")}),
    ],
)
def test_the_executors_agree_where_the_manifest_names_the_encoder(encoder: str, obs: dict[str, Leaf]) -> None:
    compare_executors(policy_of(obs, "categorical", False, p.Model(encoder=encoder)), 10)
