"""The learner's view of a trajectory is the actor's own where both are one policy, last observations too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_platform.algorithms.a2c import actor_critic_loss
from rl_platform.data.trajectory import ENDED, TERMINATED, TRUNCATED, Trajectory
from rl_platform.driver.building import Assembly
from rl_platform.objectives.gae import gae, next_values
from rl_platform.objectives.vtrace import VALUE, vtrace
from rl_platform.workers.reassessment import LOG_PROBABILITY, reassessed
from tests.integration.probes import job, trained
from tests.integration.test_stored_behaviour import MEMORY, random_weights

FLAT = {"hidden": [16]}
CARTPOLE = {"id": "CartPole-v1", "maxEpisodeSteps": 13}
FUZZ = {"kind": "pettingzooParallel", "entrypoint": "rl_platform.envs.fuzz:FuzzEnv", "maxEpisodeSteps": 9}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cartpole": (CARTPOLE, FLAT),
    "cartpole-filtered": (CARTPOLE, FLAT | {"observationFilter": "meanStd"}),
    "cartpole-lstm": (CARTPOLE, MEMORY),
    "masked": ({"entrypoint": "tests.integration.probes:MaskedPair", "maxEpisodeSteps": 5}, FLAT),
    "masked-lstm": ({"entrypoint": "tests.integration.probes:Masked", "maxEpisodeSteps": 5}, MEMORY),
    "agents": (FUZZ, FLAT),
    "agents-lstm": (FUZZ, MEMORY),
}


def assembled(case: str) -> Assembly:
    environment, model = CASES[case]
    of = job(environment, {"appo": {}}, model=model)
    size = trained(of, 0).policies["default"].layout.size
    return trained(of, 0, random_weights(size))


def fragments(assembly: Assembly, ticks: int = 21, count: int = 3) -> list[Trajectory]:
    """``ticks`` is no multiple of the rows between stored states."""
    run = assembly.run
    return [run.workers.sample(0, ticks, run.published).trajectories["default"] for _ in range(count)]


def seen_by_the_learner(assembly: Assembly, trajectory: Trajectory, of_target: bool = False) -> Trajectory:
    learner = assembly.run.learner.learners["default"]
    step = learner.step(actor_critic_loss(0.5))
    knobs = assembly.run.published["default"].knobs
    return reassessed(step, learner.policy, trajectory, knobs, of_target)


@pytest.mark.parametrize("of_target", [False, True], ids=["learner", "target"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_policy_says_the_same(case: str, of_target: bool) -> None:
    assembly = assembled(case)
    truncated = terminated = 0
    for trajectory in fragments(assembly):
        again = seen_by_the_learner(assembly, trajectory, of_target)
        valid = np.arange(trajectory.rows)[:, None] < trajectory.length
        for name, own in ((LOG_PROBABILITY, "log_probability"), (VALUE, "value")):
            stored = trajectory.extra[own][:-1][valid]
            np.testing.assert_allclose(again.extra[name][:-1][valid], stored, rtol=1e-4, atol=1e-5)
        flags = trajectory.flags
        truncated += int((flags[valid] & ENDED == TRUNCATED).sum())
        terminated += int((flags[valid] & TERMINATED != 0).sum())
        following, expected = next_values(again, VALUE), next_values(trajectory)
        np.testing.assert_allclose(following[valid], expected[valid], rtol=1e-4, atol=1e-5)
        corrected, plain = vtrace(0.9)(again, {}, {}), gae(0.9, 1.0)(trajectory, {}, {})
        for name in ("advantage", "return"):
            np.testing.assert_allclose(corrected[name][valid], plain[name][valid], rtol=1e-3, atol=1e-3)
    assert truncated >= 5, "the last observations of episodes were valued"
    assert terminated or "cartpole" not in case


@pytest.mark.parametrize("case", ["cartpole", "cartpole-lstm"])
def test_other_parameters_say_something_else_and_the_target_still_the_same(case: str) -> None:
    assembly = assembled(case)
    (trajectory,) = fragments(assembly, count=1)
    arrays = assembly.run.learner.snapshot("default")
    arrays["flat"] = arrays["flat"] * np.float32(0.5)
    assembly.run.learner.restore("default", arrays)
    moved, same = (seen_by_the_learner(assembly, trajectory, of_target) for of_target in (False, True))
    stored = trajectory.extra["value"][:-1]
    assert np.abs(moved.extra[VALUE][:-1] - stored).max() > 0.01
    np.testing.assert_allclose(same.extra[VALUE][:-1], stored, rtol=1e-4, atol=1e-5)
