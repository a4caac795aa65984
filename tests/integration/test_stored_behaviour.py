"""What rollout workers store is what the learner computes again, and what masks forbid is never done."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rl_platform.driver.building import Assembly
from rl_platform.workers.minibatches import rows, sequences
from tests.integration.probes import DQN, PPO, job, trained

MEMORY = {"hidden": [16], "recurrent": {"kind": "lstm", "size": 16, "sequenceLength": 8}}
HALF_GREEDY = DQN | {"exploration": {"initial": 0.5, "final": 0.5}}
CARTPOLE = {"id": "CartPole-v1"}


def random_weights(size: int) -> np.ndarray:
    """Far from the nearly uniform policy of a fresh network, which would hide mistakes."""
    return np.random.default_rng(5).normal(scale=0.7, size=size).astype(np.float32)


def far_from_uniform(
    environment: dict | str, algorithm: dict, env_steps: int = 0, **spec: object
) -> Assembly:
    of = job(environment, algorithm, **spec)
    size = trained(of, 0).policies["default"].layout.size
    return trained(of, env_steps, random_weights(size))


def recomputed(assembly: Assembly) -> tuple[np.ndarray, np.ndarray]:
    """Stored log-probabilities and values of one fragment, and the learner's own, both [N, 2]."""
    policy, run = assembly.policies["default"], assembly.run
    trajectory = run.workers.sample(0, 40, run.published).trajectories["default"]
    if policy.recurrent:
        columns, state = sequences([trajectory], (), {})
        columns |= {f"state/{path}": leaf for path, leaf in state.items()}
    else:
        columns = rows([trajectory], (), {})
    batch = {name: torch.from_numpy(np.ascontiguousarray(leaf)) for name, leaf in columns.items()}
    stored, action = [batch[name] for name in ("log_probability", "value")], batch["action"]
    if policy.recurrent:
        stored, action = [leaf[batch["valid"]] for leaf in stored], action[batch["valid"]]
    heads = policy.heads(run.learner.learners["default"].params, batch, run.published["default"].knobs)
    again = [heads.log_probability(action), heads["value"][:, 0]]
    return torch.stack(stored, 1).numpy(), torch.stack(again, 1).detach().numpy()


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        (CARTPOLE, {"hidden": [16]}),
        (CARTPOLE, MEMORY),
        ("Masked", {"hidden": [16]}),
        ("Masked", MEMORY),
        ("MaskedPair", {"hidden": [16]}),
        ("BoxBandit", {"hidden": [16]}),
        ("Wide", {"hidden": [16], "observationFilter": "meanStd"}),
    ],
    ids=["mlp", "lstm", "mask", "mask-lstm", "multi-discrete", "box", "filtered-box"],
)
def test_stored_log_probabilities_and_values_equal_recomputed_ones(
    environment: dict | str, model: dict
) -> None:
    # Some iterations first, so that filters and recurrent states are no longer those of the start.
    assembly = far_from_uniform(environment, {"ppo": PPO | {"learningRate": 1e-5}}, 1024, model=model)
    stored, again = recomputed(assembly)
    assert len(stored) == 8 * 40
    assert stored[:, 0].std() > 0.1  # otherwise anything would agree
    np.testing.assert_allclose(stored, again, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize(
    ("environment", "model"),
    [
        (CARTPOLE, {"hidden": [16]}),
        (CARTPOLE, MEMORY),
        ("Masked", MEMORY),
        ("Wide", {"hidden": [16], "observationFilter": "meanStd"}),
    ],
    ids=["mlp", "lstm", "mask-lstm", "filtered-box"],
)
def test_every_minibatch_of_a_policy_that_hardly_moves_has_a_ratio_of_one(
    environment: dict | str, model: dict
) -> None:
    standing_still = {"ppo": PPO | {"learningRate": 1e-9}}
    assembly = far_from_uniform(environment, standing_still, model=model)
    for count, item in enumerate(assembly.plan):
        assert item.info["metrics"]["train/default/approx_kl"] == pytest.approx(0.0, abs=1e-7)
        assert item.info["metrics"]["train/default/clip_fraction"] == 0.0
        if count == 3:
            break


@pytest.mark.parametrize(
    ("environment", "algorithm"),
    [("Masked", {"ppo": PPO}), ("MaskedPair", {"ppo": PPO}), ("Masked", {"dqn": HALF_GREEDY})],
    ids=["ppo", "ppo-pair", "dqn"],
)
def test_no_masked_action_is_chosen_in_a_hundred_thousand_draws(environment: str, algorithm: dict) -> None:
    assembly = far_from_uniform(environment, algorithm)
    run = assembly.run
    for _ in range(25):  # an illegal action is an EnvironmentFault
        fragment = run.workers.sample(0, 500, run.published)
        assert fragment.env_steps == 4_000
    assert assembly.policies["default"].spaces.obs["obs/action_mask"].kind == "mask"
