"""Which policies learn and which stay, who acts with which, and filters that are used, saved and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver.train import train
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import DQN, PPO, Wide, job, trained

TEAM = {"kind": "pettingzooParallel", "entrypoint": "tests.integration.probes:Team"}
SIDES = [{"name": "red", "agents": ["red_*"]}, {"name": "blue", "agents": ["blue_?"]}]


def team_job(policies: list[dict[str, Any]], algorithm: dict[str, Any], **spec: Any) -> TrainingJob:
    return job(TEAM, algorithm, policies=policies, rollouts={"envsPerWorker": 4}, **spec)


@pytest.mark.parametrize("algorithm", [{"ppo": PPO}, {"dqn": DQN}], ids=["ppo", "dqn"])
def test_a_frozen_policy_stays_bit_for_bit_while_the_other_learns(algorithm: dict[str, Any]) -> None:
    of = team_job([SIDES[0], SIDES[1] | {"trained": False}], algorithm)
    before = trained(of, 0).run.published
    assembly = trained(of, 3_000)
    after, learner = assembly.run.published, assembly.run.learner
    assert after["blue"].weights.tobytes() == before["blue"].weights.tobytes()
    assert learner.weights("blue").tobytes() == before["blue"].weights.tobytes()
    assert np.abs(after["red"].weights - before["red"].weights).max() > 0.01
    red = assembly.run.episodes.agents["red"]
    assert np.mean(red) > 3.0  # of 4; a policy that does not learn gets about 2
    counters = assembly.plan.counters
    assert counters.dropped == {"frozen policy": counters.agent_steps["blue"]}


def test_agents_act_with_the_policy_whose_pattern_their_name_matches() -> None:
    of = team_job(SIDES, {"ppo": PPO})
    assembly = trained(of, 4_000)
    actors = assembly.actors()
    one = {"obs": np.ones((1, 1), np.float32)}
    assert actors["red"].act(one, {}, None, None).env_action.tolist() == [1]
    assert actors["blue"].act(one, {}, None, None).env_action.tolist() == [0]
    assert assembly.plan.counters.agent_steps == {"red": 8192, "blue": 8192}
    lanes = assembly.workers.worker.adapter.lanes
    names = {name: sorted({lane.agents[i] for i in lane.agent}) for name, lane in lanes.items()}
    assert names == {"red": ["red_0", "red_1"], "blue": ["blue_0", "blue_1"]}


def test_filters_standardise_what_is_seen_and_paid_and_lie_in_the_checkpoint(tmp_path: Path) -> None:
    model = {"hidden": [16], "observationFilter": "meanStd", "returnFilter": "meanStd"}
    ppo = PPO | {"gamma": 0.5}
    of = job(
        {"entrypoint": "tests.integration.probes:Wide"}, {"ppo": ppo}, model=model, stop={"envSteps": 8_000}
    )
    reports: list[dict[str, float]] = []
    result = train(of, tmp_path / "run", on_report=lambda report: reports.append(report.metrics))
    checkpoint = load(resolve(str(tmp_path / "run")))
    filters, knobs = checkpoint.arrays["filters/default"], checkpoint.arrays["policy/default/knobs"]
    count = int(filters["obs/count"])
    assert count == result.env_steps == 8192
    deviation = np.sqrt(filters["obs/m2"] / count)
    np.testing.assert_allclose(filters["obs/mean"], Wide.centre, atol=4 * deviation.max() / 90)
    np.testing.assert_allclose(deviation, Wide.scale, rtol=0.05)
    np.testing.assert_allclose(knobs["filter/obs/scale"], 1 / deviation, rtol=1e-4)
    # Rewards deviate by 1000, discounted returns a little more: scaled ones leave a value loss of order one.
    assert 0.8e-3 < knobs["filter/return/scale"] < 1.0e-3
    assert 0.1 < reports[-1]["train/default/value_loss"] < 2.0


def test_a_policy_acts_on_filtered_observations() -> None:
    model = {"hidden": [16], "observationFilter": "meanStd"}
    assembly = trained(job("Wide", {"ppo": PPO}, model=model), 2_000)
    actor = assembly.actors()["default"]
    centred = {"obs": np.tile(Wide.centre, (1, 1))}
    off = {"obs": centred["obs"] + np.array([[0.0, 0.0, 0.01]], np.float32)}
    assert actor.act(centred, {}, None, None).extra["value"] != actor.act(off, {}, None, None).extra["value"]
    knobs = assembly.run.published["default"].knobs
    seen, _ = assembly.policies["default"].filter(_numpy_ops(), off, knobs)
    np.testing.assert_allclose(seen["obs"], [[0.0, 0.0, 1.0]], atol=0.15)


def _numpy_ops() -> Any:
    from rl_platform.models.numpy_ops import NUMPY

    return NUMPY


@pytest.mark.parametrize(("target_kl", "updates"), [(1e-9, 2), (1e9, 16)])
def test_target_kl_ends_the_epochs_early(target_kl: float, updates: int) -> None:
    ppo = PPO | {"targetKl": target_kl, "epochs": 4}  # 4 minibatches an epoch
    assembly = trained(job({"id": "CartPole-v1"}, {"ppo": ppo}), 256)
    # The first minibatch has a divergence of about zero; the second sees what it did.
    assert assembly.plan.counters.updates <= updates
    assert assembly.plan.counters.updates >= min(updates, 16) - 1


def test_double_q_chooses_by_the_trained_network_and_values_by_the_target() -> None:
    """On one transition with unlike networks, the two losses are known."""
    import torch

    from rl_platform.algorithms.dqn import dqn_loss, next_values

    losses = {}
    for double in (True, False):
        of = job("PaysMatch", {"dqn": DQN | {"doubleQ": double}}, model={"hidden": []})
        assembly = trained(of, 0)
        learner = assembly.run.learner.learners["default"]
        policy = assembly.policies["default"]
        # Without hidden layers: q = obs * w + b, with obs = 1 below.
        online, target = (policy.layout.views(torch.zeros(policy.layout.size)) for _ in range(2))
        online["head/q/b"][:] = torch.tensor([1.0, 2.0])
        target["head/q/b"][:] = torch.tensor([5.0, 3.0])
        one = torch.ones(1, 1)
        batch = {
            "obs": one,
            "next/obs": one,
            "action": torch.tensor([0]),
            "reward": torch.tensor([0.5]),
            "discount": torch.tensor([0.1]),
        }
        batch |= next_values(policy.heads(target, batch, {}, "next/"))
        loss, _ = dqn_loss(double)(learner.policy, online, target, batch, {})
        losses[double] = float(loss)
    assert losses[True] == pytest.approx(0.5 * (1.0 - (0.5 + 0.1 * 3.0)) ** 2)
    assert losses[False] == pytest.approx(0.5 * (1.0 - (0.5 + 0.1 * 5.0)) ** 2)
