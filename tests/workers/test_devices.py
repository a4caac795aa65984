"""The learner on another device and in another precision: the same steps, within what rounding allows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_platform.driver.building import BadConfiguration, assemble, refuse_missing_gpus
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers import ray_session

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
SHAPES: dict[str, dict[str, Any]] = {
    "dense": {},
    "lstm": {"model": {"recurrent": {"kind": "lstm", "sequenceLength": 16}}},
    "filtered": {"model": {"observationFilter": "meanStd"}},
    "image": {
        "environment": {
            "entrypoint": "benchmarks.synthetic_image:SyntheticImage",
            "kind": "gymnasium",
        }
    },
    "dqn": {"algorithm": {"dqn": {"learningStarts": 256, "batchSize": 32, "bufferSize": 2000}}},
}


def job(shape: str, **learner: Any) -> TrainingJob:
    document = {
        "metadata": {"name": "devices"},
        "spec": {
            "environment": {"id": "CartPole-v1"},
            "algorithm": {"ppo": {"batchSize": 256, "minibatchSize": 128, "epochs": 2}},
            "rollouts": {"envsPerWorker": 4},
            "learner": learner,
            "stop": {"envSteps": 10_000},
        }
        | SHAPES[shape],
    }
    return TrainingJob.model_validate(document)


def weights_after_learning(shape: str, **learner: Any) -> np.ndarray:
    """After the first result that has learned anything; samples are the same wherever it learns."""
    made = assemble(job(shape, **learner))
    try:
        made.workers.reset(0)
        for _ in made.plan:
            if made.plan.counters.updates:
                return made.run.learner.weights("default")
    finally:
        made.close()
    raise AssertionError("a plan never ends by itself")


@NO_GPU
@pytest.mark.parametrize("shape", SHAPES)
def test_a_gpu_learns_what_the_cpu_learns(shape: str) -> None:
    here = weights_after_learning(shape)
    there = weights_after_learning(shape, gpusPerReplica=1)
    np.testing.assert_allclose(there, here, atol=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gpus", [0, pytest.param(1, marks=NO_GPU)])
def test_bfloat16_moves_the_weights_the_same_way(shape: str, gpus: int) -> None:
    start = assemble(job(shape)).run.learner.weights("default")
    full = weights_after_learning(shape, gpusPerReplica=gpus) - start
    half = weights_after_learning(shape, gpusPerReplica=gpus, precision="bfloat16") - start
    assert np.isfinite(half).all()
    assert not np.array_equal(half, full)
    cosine = float(full @ half / np.linalg.norm(full) / np.linalg.norm(half))
    assert cosine > 0.9


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_missed_before_anything_starts() -> None:
    with pytest.raises(BadConfiguration, match=r"spec\.learner\.gpusPerReplica is 1.*no GPU"):
        assemble(job("dense", gpusPerReplica=1))


def test_gpus_that_this_machine_never_gets_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = job("dense", gpusPerReplica=1, replicas=torch.cuda.device_count() + 1)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    refuse_missing_gpus(of.spec.learner)
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setattr(ray_session, "HEAD_FILE", tmp_path / "none")
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    with pytest.raises(
        TrainingFailed, match=r"gpusPerReplica is 1 with \d+ replicas, .* has \d+ of them"
    ) as told:
        train(of, tmp_path / "run")
    assert told.value.result.reason == "BadConfiguration"


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_learner_uses_one_gpu(replicas: int) -> None:
    with pytest.raises(
        BadConfiguration, match=r"spec\.learner\.gpusPerReplica: 2 GPUs for one learner, which uses one"
    ):
        assemble(job("dense", gpusPerReplica=2, replicas=replicas))
