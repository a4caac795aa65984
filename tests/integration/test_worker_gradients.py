"""Gradients computed by workers are those that the learner would have computed from their trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_platform.workers.fragment_codec import decode_fragment, encode_fragment
from rl_platform.workers.worker_gradients import WorkerGradient
from tests.integration.probes import A2C, job, trained
from tests.integration.test_stored_behaviour import CARTPOLE, MEMORY

MEETING = {"kind": "pettingzooParallel", "entrypoint": "rl_platform.envs.examples.meeting:Meeting"}
FROZEN = [{"name": "left", "agents": ["left_*"]}, {"name": "right", "agents": ["right_*"], "trained": False}]
CASES: dict[str, dict[str, Any]] = {
    "dense": {"environment": CARTPOLE},
    "filtered": {
        "environment": CARTPOLE,
        "model": {"hidden": [16], "observationFilter": "meanStd", "returnFilter": "meanStd"},
    },
    "lstm": {"environment": CARTPOLE, "model": MEMORY},
    "agents-frozen": {"environment": MEETING, "policies": FROZEN},
}


@pytest.mark.parametrize("case", CASES)
def test_a_single_worker_without_lag_learns_what_a2c_learns(case: str) -> None:
    schedules = {"entropyCoefficient": {"kind": "linear", "final": 0.0, "steps": 1000}}
    one, other = (
        trained(job(algorithm={name: A2C}, schedules=schedules, **CASES[case]), 640)
        for name in ("a3c", "a2c")
    )
    assert one.plan.counters.updates == other.plan.counters.updates > 5
    assert one.plan.counters.dropped == other.plan.counters.dropped
    for policy, definition in one.policies.items():
        weights = [each.run.learner.weights(policy) for each in (one, other)]
        np.testing.assert_allclose(*weights, rtol=1e-3, atol=2e-4)
        initial = definition.layout.initial(one.run.learner.learners[policy].seed)
        assert np.allclose(weights[0], initial) == (policy not in one.run.trained)


def test_a_fragment_of_gradients_is_saved_and_comes_back() -> None:
    assembly = trained(job(environment=MEETING, algorithm={"a3c": A2C}, policies=FROZEN), 0)
    fragment = assembly.workers.sample(0, 8, assembly.run.published)  # type: ignore[union-attr]
    back = decode_fragment(*encode_fragment(fragment))
    for policy, gradient in fragment.trajectories.items():
        again: Any = back.trajectories[policy]
        assert isinstance(gradient, WorkerGradient)
        assert (again.stats, again.steps, again.version) == (gradient.stats, gradient.steps, 0)
        np.testing.assert_array_equal(again.flat, gradient.flat)
