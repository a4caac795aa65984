"""Training that goes wrong ends with a reason, a message that helps, and the last good checkpoint."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver.result import Result
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import DQN, PPO, job


def faulty(fault: str, at: int, algorithm: dict[str, Any] | None = None, **environment: Any) -> TrainingJob:
    """2 environments, a checkpoint after every iteration of 32 updates (ppo)."""
    small = PPO | {"batchSize": 128, "minibatchSize": 16}
    return job(
        {
            "entrypoint": "tests.integration.faulty:Faulty",
            "kwargs": {"fault": fault, "at": at},
            "maxEpisodeSteps": 50,
        }
        | environment,
        algorithm or {"ppo": small},
        rollouts={"envsPerWorker": 2},
        stop={"envSteps": 20_000},
        checkpoint={"everyUpdates": 32},
    )


def failure(of: TrainingJob, folder: Path) -> Result:
    with pytest.raises(TrainingFailed) as caught:
        train(of, folder)
    written = json.loads((folder / "result.json").read_text())
    result = caught.value.result
    assert (written["state"], written["reason"]) == ("Failed", str(result.reason))
    return result


def assert_last_checkpoint_is_good(folder: Path, result: Result, env_steps: int) -> None:
    checkpoint = load(resolve(str(folder)))
    assert result.checkpoint == resolve(str(folder)).uri
    assert checkpoint.state["plan"]["counters"]["env_steps"] == env_steps
    for group, tree in checkpoint.arrays.items():
        for path, leaf in tree.items():
            assert np.isfinite(leaf).all(), f"{group} {path}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nan_observation", ["field obs", "nan"]),
        ("nan_reward", ["field reward", "nan"]),
        ("infinite_reward", ["field reward", "inf"]),
        ("wrong_shape", ["field obs", "(3,)", "(2,)"]),
        ("raises", ["RuntimeError", "the simulator lost its connection"]),
        ("reward_of_two", ["field reward", "(2,)"]),
    ],
)
def test_a_fault_of_the_environment_names_environment_step_and_field(
    fault: str, said: list[str], tmp_path: Path
) -> None:
    result = failure(faulty(fault, at=200), tmp_path / "run")
    assert result.reason == "EnvironmentFault"
    for words in ["Faulty", "number 0", "step ", *said]:
        assert words.lower() in result.message.lower()
    assert_last_checkpoint_is_good(
        tmp_path / "run", result, env_steps=384
    )  # 3 iterations; the 4th has the fault


def test_an_environment_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    began = time.monotonic()
    result = failure(faulty("hangs", at=200, stepTimeoutSeconds=1.0), tmp_path / "run")
    assert time.monotonic() - began < 30
    assert result.reason == "EnvironmentFault"
    for words in ["Faulty", "number 0", "step ", "did not return within 1 s", "stepTimeoutSeconds"]:
        assert words in result.message
    assert_last_checkpoint_is_good(tmp_path / "run", result, env_steps=384)


@pytest.mark.parametrize("fault", ["raises", "nan_observation", "wrong_shape"])
def test_an_environment_that_is_broken_from_the_start_fails_before_training(
    fault: str, tmp_path: Path
) -> None:
    result = failure(faulty(fault, at=1), tmp_path / "run")
    assert (result.reason, result.env_steps) == ("EnvironmentFault", 0)
    assert "Faulty" in result.message


def test_losses_that_turn_nan_stop_the_run_and_are_not_saved(tmp_path: Path) -> None:
    result = failure(faulty("enormous_reward", at=200), tmp_path / "run")
    assert result.reason == "NotANumber"
    assert "env step 512" in result.message
    assert "learningRate" in result.message
    assert_last_checkpoint_is_good(tmp_path / "run", result, env_steps=384)


def test_a_learning_rate_that_grows_far_too_high_is_a_divergence(tmp_path: Path) -> None:
    """A linear network, because the units of a deep one die before its weights explode."""
    of = job(
        {"id": "CartPole-v1"},
        {"dqn": DQN},
        model={"hidden": []},
        schedules={"learningRate": {"kind": "exponential", "final": 10.0, "steps": 4_000}},
        stop={"envSteps": 100_000},
        checkpoint={"everyUpdates": 64},
    )
    result = failure(of, tmp_path / "run")
    assert result.reason == "Diverged"
    assert "5 reports in a row" in result.message
    assert "learningRate" in result.message
    assert result.env_steps < 20_000
    checkpoint = load(resolve(str(tmp_path / "run")))
    weights = checkpoint.arrays["policy/default/weights"]["flat"]
    assert np.sqrt(np.square(weights).mean()) < 1000  # from before the weights left their bound
    assert checkpoint.state["plan"]["counters"]["env_steps"] < result.env_steps


def test_a_network_that_dies_ends_the_run_and_is_not_saved(tmp_path: Path) -> None:
    """Its outputs saturate within the first updates: probabilities are 0 and 1 to the bit from then on."""
    of = job(
        {"id": "CartPole-v1"},
        {"ppo": PPO | {"learningRate": 1.0, "batchSize": 256, "minibatchSize": 64}},
        model={"hidden": [16, 16]},
        rollouts={"envsPerWorker": 2},
        stop={"envSteps": 100_000},
        checkpoint={"everyUpdates": 16},
    )
    result = failure(of, tmp_path / "run")
    assert result.reason == "Diverged"
    for words in ("has collapsed", "policy 'default'", "20 reports in a row", "learningRate"):
        assert words in result.message
    assert result.env_steps < 50_000
    assert (
        load(resolve(str(tmp_path / "run"))).state["plan"]["counters"]["env_steps"]
        <= result.env_steps - 20 * 256
    )
