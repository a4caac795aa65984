"""Probes of the algorithms through their real plans: right values and actions are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rl_platform.driver.building import Assembly
from tests.integration.probes import A2C, APEX, APPO, DQN, IMPALA, PPO, BoxBandit, job, trained

REPLAY = ("dqn", "apex")


def name_of(algorithm: dict) -> str:
    return next(iter(algorithm))


def value(assembly: Assembly, *seen: float) -> np.ndarray:
    """V (PPO) or the largest Q (DQN) of observations."""
    obs = {"obs": np.array(seen, np.float32)[:, None]}
    policy, run = assembly.policies["default"], assembly.run
    if policy.value:
        actor = assembly.actors()["default"]
        return actor.act(obs, {}, None, None).extra["value"]
    import torch

    batch = {"obs": torch.from_numpy(obs["obs"])}
    heads = policy.heads(run.learner.learners["default"].params, batch, {})
    return heads.action_values().detach().numpy().max(axis=1)


def action(assembly: Assembly, *seen: float) -> np.ndarray:
    obs = {"obs": np.array(seen, np.float32)[:, None]}
    return assembly.actors()["default"].act(obs, {}, None, None).env_action


VALUE_LEARNERS = {
    "ppo-td0": {"ppo": PPO | {"gamma": 0.9, "gaeLambda": 0.0}},
    "ppo-gae": {"ppo": PPO | {"gamma": 0.9, "gaeLambda": 0.95}},
    "a2c": {"a2c": A2C | {"gamma": 0.9}},
    "impala": {"impala": IMPALA | {"gamma": 0.9}},
    "appo": {"appo": APPO | {"gamma": 0.9}},
    "dqn": {"dqn": DQN | {"gamma": 0.9}},
    "dqn-4-step": {"dqn": DQN | {"gamma": 0.9, "nStep": 4}},
    "dqn-prioritized": {"dqn": DQN | {"gamma": 0.9, "prioritizedReplay": {}, "dueling": True}},
    "apex": {"apex": APEX | {"gamma": 0.9}},
}


def truncated(probe: str, limit: int, algorithm: dict, env_steps: int) -> Assembly:
    environment = {"entrypoint": f"tests.integration.probes:{probe}", "maxEpisodeSteps": limit}
    return trained(job(environment, algorithm), env_steps)


@pytest.mark.parametrize("algorithm", VALUE_LEARNERS.values(), ids=VALUE_LEARNERS)
def test_truncated_episodes_are_worth_what_endless_ones_are(algorithm: dict) -> None:
    assembly = truncated("Endless", 10, algorithm, 8_000 if name_of(algorithm) in REPLAY else 25_000)
    # 5.26 (TD) or 4.14 (Monte Carlo) where a truncation counts as a termination.
    assert value(assembly, 0.0) == pytest.approx([10.0], abs=0.25)


@pytest.mark.parametrize("name", ["ppo-gae", "a2c", "impala", "appo", "dqn", "dqn-4-step", "apex"])
def test_a_truncated_episode_goes_on_from_its_own_last_observation(name: str) -> None:
    assembly = truncated(
        "Ramp", 3, VALUE_LEARNERS[name], 8_000 if name_of(VALUE_LEARNERS[name]) in REPLAY else 25_000
    )
    # 6.2 and 6.9 where it goes on from the first observation of the next episode.
    assert value(assembly, 0.0, 1.0) == pytest.approx([9.0, 10.0], abs=0.3)


@pytest.mark.parametrize(
    "algorithm",
    [{"ppo": PPO | {"gamma": 0.7}}, {"a2c": A2C | {"gamma": 0.7}}, {"dqn": DQN | {"gamma": 0.7}}],
    ids=name_of,
)
def test_a_reward_one_step_away_is_worth_gamma(algorithm: dict) -> None:
    assembly = trained(job("TwoSteps", algorithm), 4_000 if "dqn" in algorithm else 10_000)
    assert value(assembly, 0.0, 1.0) == pytest.approx([0.7, 1.0], abs=0.03)


@pytest.mark.parametrize("algorithm", [{"ppo": PPO}, {"a2c": A2C}, {"dqn": DQN}], ids=name_of)
def test_values_follow_what_is_observed(algorithm: dict) -> None:
    assembly = trained(job("PaysObservation", algorithm), 4_000 if "dqn" in algorithm else 10_000)
    assert value(assembly, -1.0, 1.0) == pytest.approx([-1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("algorithm", [{"ppo": PPO}, {"a2c": A2C}, {"dqn": DQN}], ids=name_of)
def test_the_better_of_two_actions_is_found(algorithm: dict) -> None:
    assembly = trained(job("TwoActions", algorithm), 4_000)
    assert action(assembly, 0.0).tolist() == [1]


@pytest.mark.parametrize(
    "algorithm",
    [{"ppo": PPO}, {"a2c": A2C}, {"impala": IMPALA}, {"appo": APPO}, {"dqn": DQN}, {"apex": APEX}],
    ids=name_of,
)
def test_the_action_follows_the_observation(algorithm: dict) -> None:
    assembly = trained(job("PaysMatch", algorithm), 6_000)
    assert action(assembly, -1.0, 1.0).tolist() == [0, 1]


def test_the_best_action_of_a_box_is_found_within_two_percent() -> None:
    ppo = PPO | {"batchSize": 512, "minibatchSize": 128, "clipRange": 0.3}
    schedules = {"learningRate": {"kind": "linear", "final": 1e-4}}
    assembly = trained(job("BoxBandit", {"ppo": ppo}, schedules=schedules, stop={"envSteps": 40_000}), 40_000)
    found = action(assembly, 0.0)[0]
    assert np.abs((found - BoxBandit.best) / BoxBandit.span) == pytest.approx([0, 0], abs=0.02)
