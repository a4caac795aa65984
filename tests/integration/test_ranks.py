"""Several ranks of a learner learn what one learns from all of their data, whatever the algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_platform.driver.building import Assembly, assemble, chosen_algorithm
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import A2C, APPO, DQN, IMPALA, PPO, job
from tests.integration.test_stored_behaviour import CARTPOLE, MEMORY
from tests.integration.test_worker_gradients import MEETING
from tests.workers.thread_ranks import Beside, InThreads

TWO = [{"name": "left", "agents": ["left_*"]}, {"name": "right", "agents": ["right_*"]}]
FILTERED = {"hidden": [16], "observationFilter": "meanStd", "returnFilter": "meanStd"}
# 7 lanes and minibatches of 60: nothing divides by the number of ranks.
UNEVEN = PPO | {"learningRate": 1e-3, "batchSize": 252, "minibatchSize": 60, "entropyCoefficient": 0.01}
SEVEN = {"rollouts": {"envsPerWorker": 7}}
PRIORITIZED = DQN | {"learningRate": 1e-3, "batchSize": 31, "prioritizedReplay": {}}
CASES: dict[str, dict[str, Any]] = {
    "ppo": {"environment": CARTPOLE, "algorithm": {"ppo": UNEVEN}, **SEVEN},
    "ppo-target-kl": {"environment": CARTPOLE, "algorithm": {"ppo": UNEVEN | {"targetKl": 0.0005}}, **SEVEN},
    "ppo-autograd": {
        "environment": CARTPOLE,
        "algorithm": {"ppo": UNEVEN},
        "model": {"hidden": [16], "shareTrunk": "shared", "observationFilter": "meanStd"},
        **SEVEN,
    },
    "ppo-lstm": {"environment": CARTPOLE, "algorithm": {"ppo": UNEVEN}, "model": MEMORY, **SEVEN},
    "ppo-agents-lstm": {
        "environment": MEETING,
        "algorithm": {"ppo": UNEVEN},
        "policies": TWO,
        "model": MEMORY,
    },
    "a2c": {"environment": CARTPOLE, "algorithm": {"a2c": A2C}, "model": FILTERED, **SEVEN},
    "a3c": {"environment": CARTPOLE, "algorithm": {"a3c": A2C}},
    "impala": {"environment": CARTPOLE, "algorithm": {"impala": IMPALA | {"batchSize": 190}}},
    "appo-lstm": {"environment": CARTPOLE, "algorithm": {"appo": APPO}, "model": MEMORY},
    "dqn": {"environment": CARTPOLE, "algorithm": {"dqn": DQN | {"learningRate": 1e-3}}},
    "dqn-prioritized": {"environment": CARTPOLE, "algorithm": {"dqn": PRIORITIZED}},
}


def beside(of: TrainingJob, ranks: int) -> tuple[Assembly, Beside]:
    """The job's parts with a learner in the driver, and one of threads beside it."""
    made = assemble(of)
    _, algorithm, config = chosen_algorithm(of)
    alone: Any = made.run.learner
    both = Beside(alone, InThreads(alone, algorithm.learning(config), of.spec.seed, ranks))
    made.run.learner = both  # type: ignore[assignment]  # all that a plan calls
    return made, both


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_they_learn_what_one_learns(case: str, ranks: int) -> None:
    made, both = beside(job(**CASES[case]), ranks)
    made.workers.reset(0)
    for _ in made.plan:
        if made.plan.counters.updates > 60:
            break
    for policy in made.run.trained:
        weights = both.alone.weights(policy)
        np.testing.assert_allclose(both.ranks.weights(policy), weights, atol=2e-4)
        assert np.abs(weights - made.policies[policy].layout.initial(1)).max() > 0.01
        assert len({rank.digest(policy) for rank in both.ranks.ranks}) == 1
    assert all(difference < 2e-4 for difference in both.differences)
    assert not both.differences or both.differences[0] < 1e-5
