"""Every environment of a run explores to its own degree, whichever worker it is in."""

from __future__ import annotations

import numpy as np
import pytest

from rl_platform.algorithms.apex import exploration
from rl_platform.models.actors import make_actor
from rl_platform.spec.algorithms import ApeX
from rl_platform.workers.rollout_worker import EPSILONS, RolloutWorker
from tests.integration.probes import job, trained
from tests.integration.test_stored_behaviour import far_from_uniform

TICKS = 2000


def test_epsilons_are_those_of_the_paper() -> None:
    knobs = exploration(ApeX())(0, 8)
    assert knobs[EPSILONS].tolist() == pytest.approx([0.4 ** (1 + 7 * i / 7) for i in range(8)])
    assert exploration(ApeX())(0, 1)[EPSILONS].tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("source", [0, 1])
def test_each_environment_acts_at_random_as_often_as_its_epsilon_says(source: int) -> None:
    """Sixteen environments in two workers of eight; one of two actions is the greedy one everywhere."""
    assembly = far_from_uniform("TwoActions", {"apex": {}})
    policy, published = assembly.policies["default"], assembly.run.published["default"]
    knobs = {**published.knobs, **exploration(ApeX())(0, 16)}
    worker = RolloutWorker(
        assembly.workers.worker.adapter, {"default": make_actor(policy)}, source=source, seed=3
    )
    worker.load("default", published.weights, knobs, 1)
    action = worker.sample(TICKS).trajectories["default"].action["action"]
    greedy = assembly.actors()["default"].act({"obs": np.zeros((1, 1), np.float32)}, {}, None, None)
    explored = 2 * (action != greedy.action[0]).mean(axis=0)
    epsilon = 0.4 ** (1 + 7 * (8 * source + np.arange(8)) / 15)
    np.testing.assert_allclose(explored, epsilon, atol=4 * np.sqrt(2 * 0.4 / TICKS))
    assert (np.abs(explored - epsilon) < 5 * np.sqrt(2 * epsilon / TICKS)).all()


def test_without_exploration_the_best_action_is_taken_whatever_epsilons_are_published() -> None:
    assembly = trained(job("TwoActions", {"apex": {"learningStarts": 64, "exploration": {"epsilon": 1}}}), 64)
    actor = assembly.actors()["default"]
    obs = {"obs": np.zeros((50, 1), np.float32)}
    assert len(np.unique(actor.act(obs, {}, None, None).action)) == 1
