"""The same plans with rollout workers in other processes: reproducible, and resumed bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.driver.train import train
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_resume import CASES, Stop, _arrays

pytestmark = pytest.mark.usefixtures("ray_here")
TWO_WORKERS = {"rollouts": {"replicas": 2, "envsPerWorker": 2}}


def distributed(case: str, **spec: Any) -> TrainingJob:
    every = 48 if "ppo" in case else 170
    common = {
        "stop": {"envSteps": 4_000},
        "checkpoint": {"exact": True, "everyUpdates": every},
        "schedules": {"learningRate": {"kind": "linear", "final": 0.0}},
    }
    return job(**(CASES[case] | TWO_WORKERS | common | spec))


SHARD = {"replay": {"placement": "rollouts"}}


@pytest.mark.parametrize(
    ("case", "spec"), [("ppo-filters", {}), ("ppo-agents-lstm", {}), ("dqn", {}), ("dqn", SHARD)]
)
def test_a_drained_run_that_goes_on_ends_with_the_same_weights(
    case: str, spec: dict[str, Any], tmp_path: Path
) -> None:
    of = distributed(case, **spec)
    whole = train(of, tmp_path / "whole")
    part = train(of, tmp_path / "parts", on_report=Stop(1_700))
    assert part.state == "Drained"
    assert 1_700 <= part.env_steps < 3_600
    rest = train(of, tmp_path / "parts", taking="resume")
    assert (rest.env_steps, rest.updates, rest.episodes) == (whole.env_steps, whole.updates, whole.episodes)
    assert rest.weights_digest == whole.weights_digest
    assert rest.weights_digest != part.weights_digest
    one, other = (_arrays(tmp_path / name) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert any(name.startswith("lanes/1|") for name in one)
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)
