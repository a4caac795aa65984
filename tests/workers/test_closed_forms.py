"""Objectives in closed form move a policy as their torch functions do, step for step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rl_platform.algorithms.a2c import A2C, actor_critic_loss
from rl_platform.algorithms.dqn import DQN, dqn_loss, next_values
from rl_platform.algorithms.ppo import PPO, ppo_loss
from rl_platform.data.spaces import ActionSpace, Spaces
from rl_platform.data.tree import ACTION_MASK
from rl_platform.models.build import actor_critic_policy, initial_knobs
from rl_platform.models.policy import Policy
from rl_platform.spec import algorithms as spec
from rl_platform.workers.autograd_step import AutogradStep
from rl_platform.workers.dense_step import DenseStep
from rl_platform.workers.objective import Loss
from rl_platform.workers.policy_learner import PolicyLearner
from tests.models import policies as p

ROWS = 40
ACTIONS = {"discrete": p.DISCRETE, "multi": p.MULTI, "box": p.BOX_ACTION}
FIELDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "entropy": {"entropy_coefficient": 0.05},
    "value clip": {"value_clip_range": 0.3},
    "raw advantage": {"normalize_advantage": False, "value_coefficient": 2.0},
}


def both(policy: Policy, loss: Loss, learning: Any, batches: list[dict[str, np.ndarray]], knobs: Any) -> None:
    """A learner with the closed form and one without end at the same weights and say the same on the way."""
    steps, learners = [], []
    for objective in (loss, replace(loss, closed_form=None)):
        learner = PolicyLearner(policy, learning, 3, "cpu")
        learners.append(learner)
        steps.append(learner.step(objective))
    assert isinstance(steps[0], DenseStep)
    assert isinstance(steps[1], AutogradStep)
    for batch in batches:
        said = []
        for learner, step in zip(learners, steps, strict=True):
            columns = step.columns(dict(batch))
            if learning.target:
                columns |= next_values(step.of_target(columns, knobs))
            said.append({n: np.asarray(value) for n, value in learner.descend(step, columns, knobs).items()})
        assert said[0].keys() == said[1].keys()
        for name, value in said[0].items():
            np.testing.assert_allclose(value, said[1][name], rtol=2e-3, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(learners[0].flat, learners[1].flat, atol=2e-4)
    assert not np.allclose(learners[0].flat, policy.layout.initial(3), atol=1e-3)


def actions(space: ActionSpace, obs: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Legal actions as they are stored."""
    if space.kind == "box":
        return rng.standard_normal((ROWS, *space.shape), np.float32)
    legal = obs.get(ACTION_MASK, np.ones((ROWS, sum(space.categories)), np.int8))
    starts = np.cumsum([0, *space.categories])
    parts = [np.argmax(legal[:, a:b] * rng.random((ROWS, b - a)), axis=1) for a, b in pairwise(starts)]
    return parts[0] if space.kind == "discrete" else np.stack(parts, axis=1)


SPACES = pytest.mark.parametrize(
    ("kind", "masked"),
    [("discrete", False), ("discrete", True), ("multi", False), ("multi", True), ("box", False)],
)
NETWORKS = pytest.mark.parametrize(
    ("hidden", "trunk"), [((16, 8), "auto"), ((12,), "shared"), ((), "shared")]
)


@pytest.mark.parametrize("fields", FIELDS.values(), ids=list(FIELDS))
@SPACES
@NETWORKS
def test_ppo(kind: str, masked: bool, fields: dict[str, Any], hidden: tuple[int, ...], trunk: str) -> None:
    cfg = spec.PPO(**fields)
    policy, batches, knobs = actor_critic(kind, masked, hidden, trunk)
    knobs["entropy_coefficient"] = cfg.entropy_coefficient
    both(policy, ppo_loss(cfg), PPO.learning(cfg), batches, knobs)


@pytest.mark.parametrize("entropy", [0.0, 0.05])
@SPACES
@NETWORKS
def test_a2c(kind: str, masked: bool, entropy: float, hidden: tuple[int, ...], trunk: str) -> None:
    policy, batches, knobs = actor_critic(kind, masked, hidden, trunk)
    knobs["entropy_coefficient"] = entropy
    both(policy, actor_critic_loss(0.7), A2C.learning(spec.A2C()), batches, knobs)


def actor_critic(
    kind: str, masked: bool, hidden: tuple[int, ...], trunk: str
) -> tuple[Policy, list[dict[str, np.ndarray]], dict[str, Any]]:
    """A policy with a value, batches as its algorithms learn from, and knobs."""
    space = ACTIONS[kind]
    spaces = p.masked(p.DICT, space) if masked else Spaces(dict(p.DICT), space)
    model = replace(p.Model(hidden), share_trunk=trunk, observation_filter="meanStd")
    policy = actor_critic_policy(spaces, model)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    batches = []
    for _ in range(6):
        obs = p.observations(spaces, (ROWS,), rng)
        columns = {name: rng.standard_normal(ROWS, np.float32) for name in ("advantage", "return", "value")}
        likely = rng.uniform(-4, -1, ROWS).astype(np.float32)
        batches.append({**obs, **columns, "action": actions(space, obs, rng), "log_probability": likely})
    return policy, batches, {**initial_knobs(policy), "learning_rate": 0.01, "clip_range": 0.2}


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_dqn(double: bool, masked: bool, activation: str, dueling: bool, weighted: bool) -> None:
    cfg = spec.DQN(double_q=double, dueling=dueling)
    spaces = p.masked(p.BOX, p.DISCRETE) if masked else Spaces(dict(p.BOX), p.DISCRETE)
    policy = DQN.policy(spaces, p.Model((16, 16), activation=activation), cfg)
    rng = np.random.default_rng(7)
    batches = []
    for _ in range(6):
        obs = p.observations(spaces, (ROWS,), rng)
        following = p.observations(spaces, (ROWS,), rng)
        columns = {
            "reward": 3 * rng.standard_normal(ROWS, np.float32),
            "action": actions(p.DISCRETE, obs, rng),
        }
        if weighted:
            columns["weight"] = rng.uniform(0.1, 1, ROWS).astype(np.float32)
        columns["discount"] = np.where(rng.random(ROWS) < 0.2, 0, 0.9).astype(np.float32)
        batches.append({**obs, **{f"next/{path}": leaf for path, leaf in following.items()}, **columns})
    both(policy, dqn_loss(double), DQN.learning(cfg), batches, {"learning_rate": 0.01})


def test_a_network_whose_dense_means_something_else_is_left_to_autograd() -> None:
    cfg = spec.PPO()
    policy = PPO.policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model((8, 8)), cfg)
    policy.net.dense = ["a layer"]  # type: ignore[attr-defined]
    learner = PolicyLearner(policy, PPO.learning(cfg), 0, "cpu")
    assert isinstance(learner.step(ppo_loss(cfg)), AutogradStep)


def test_a_policy_with_memory_is_left_to_autograd() -> None:
    cfg = spec.PPO()
    model = p.Model(recurrent=p.Recurrent("lstm"))
    policy = PPO.policy(Spaces(dict(p.BOX), p.DISCRETE), model, cfg)
    learner = PolicyLearner(policy, PPO.learning(cfg), 0, "cpu")
    assert isinstance(learner.step(ppo_loss(cfg)), AutogradStep)
