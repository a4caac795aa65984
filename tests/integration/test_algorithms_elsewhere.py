"""Every algorithm's plan with rollout workers, and a learner, in other processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_platform.driver.building import Assembly, assemble
from tests.integration.probes import A2C, APEX, APPO, IMPALA, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_stored_behaviour import CARTPOLE, MEMORY

pytestmark = pytest.mark.usefixtures("ray_here")
TWO_WORKERS = {"rollouts": {"replicas": 2, "envsPerWorker": 4}}
FIELDS = {"a2c": A2C, "a3c": A2C, "impala": IMPALA, "appo": APPO, "apex": APEX}


def learned(name: str, env_steps: int = 2_000, **spec: Any) -> tuple[Assembly, np.ndarray]:
    """Its plan, run for so many env steps, and what it has learned; the processes are gone afterwards."""
    made = assemble(job(CARTPOLE, {name: FIELDS[name]}, **TWO_WORKERS, **spec))
    made.start()
    try:
        for _ in made.plan:
            if made.plan.counters.env_steps >= env_steps:
                made.plan.snapshot()
                return made, made.run.learner.weights("default")
    finally:
        made.close()
    raise AssertionError("a plan never ends by itself")


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("a3c", {"learner": {"replicas": 1}}),
        ("impala", {"learner": {"replicas": 1}, "model": MEMORY}),
        ("appo", {}),
        ("apex", {}),
    ],
    ids=["a3c-learner", "impala-lstm-learner", "appo", "apex"],
)
def test_it_learns_from_all_that_two_workers_sample(name: str, spec: dict[str, Any]) -> None:
    made, weights = learned(name, **spec)
    counters = made.plan.counters
    assert counters.updates > 10
    assert not counters.dropped
    assert counters.env_steps == sum(counters.agent_steps.values())
    initial = made.policies["default"].layout.initial
    assert np.abs(weights - initial(0)).max() > 0.01


def test_the_synchronous_one_learns_the_same_twice() -> None:
    (one, weights), (same, again) = learned("a2c"), learned("a2c")
    assert one.plan.counters == same.plan.counters
    np.testing.assert_array_equal(weights, again)
