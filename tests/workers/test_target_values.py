"""Target values that are computed for a whole round of minibatches are those of each minibatch by itself."""

from __future__ import annotations

import numpy as np
import pytest

from rl_platform.algorithms.dqn import DQN, dqn_loss, next_values
from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree
from rl_platform.spec import algorithms as spec
from rl_platform.spec.model import ModelSpec
from rl_platform.workers.learner import Learner
from tests.models import policies as p

ROUND, ROWS = 5, 16


def round_of_samples(seed: int) -> Tree:
    """[U, B, ...] as replay gives them."""
    rng = np.random.default_rng(seed)
    shape = (ROUND, ROWS)
    obs = {f"{name}obs": rng.standard_normal((*shape, 4)).astype(np.float32) for name in ("", "next/")}
    return {
        **obs,
        "action": rng.integers(0, 3, shape),
        "reward": rng.standard_normal(shape).astype(np.float32),
        "discount": np.where(rng.random(shape) < 0.3, 0, 0.99).astype(np.float32),
    }


def learner(config: spec.DQN) -> Learner:
    """Its target differs from what it learns, as it does between two copies of the parameters."""
    spaces = Spaces(p.BOX, p.DISCRETE)
    policy = DQN.policy(spaces, ModelSpec.model_validate({"hidden": (16, 8)}), config)
    made = Learner({"default": policy}, ("default",), DQN.learning(config), 1)
    made.load_weights("default", p.random_weights(policy.layout.size, 5))
    arrays = made.snapshot("default")
    made.restore("default", arrays | {"target": p.random_weights(policy.layout.size, 6)})
    return made


@pytest.mark.parametrize("double", [True, False])
def test_a_round_at_once_and_a_minibatch_at_a_time_learn_the_same(double: bool) -> None:
    config = spec.DQN.model_validate({"doubleQ": double})
    samples = round_of_samples(3)
    knobs = {"learning_rate": np.float32(1e-2)}
    at_once, by_one = learner(config), learner(config)
    objective = dqn_loss(double)
    learned = at_once.update_on_samples("default", samples, objective, knobs, next_values)
    assert learned.steps == ROUND
    before = by_one.weights("default")
    for i in range(ROUND):
        one = {name: leaf[i : i + 1] for name, leaf in samples.items()}
        by_one.update_on_samples("default", one, objective, knobs, next_values)
    assert np.abs(by_one.weights("default") - before).max() > 1e-3, "something was learned"
    np.testing.assert_allclose(at_once.weights("default"), by_one.weights("default"), atol=1e-6)
