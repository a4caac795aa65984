"""Bit-exact resume: a run that was stopped and went on ends with the weights of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report
from tests.integration.probes import A2C, APEX, APPO, DQN, IMPALA, PPO, job

CARTPOLE = {"id": "CartPole-v1"}
MEETING = {"kind": "pettingzooParallel", "entrypoint": "rl_platform.envs.examples.meeting:Meeting"}
TWO = [{"name": "left", "agents": ["left_*"]}, {"name": "right", "agents": ["right_*"]}]
MEMORY = {"hidden": [16], "recurrent": {"kind": "lstm", "size": 16, "sequenceLength": 8}}
FILTERS = {"hidden": [16], "observationFilter": "meanStd", "returnFilter": "meanStd"}
REPLAY = DQN | {"bufferSize": 1000, "nStep": 3, "targetUpdateEvery": 37}  # the ring wraps before the stop

CASES: dict[str, dict[str, Any]] = {
    "ppo": {"environment": CARTPOLE, "algorithm": {"ppo": PPO}},
    "ppo-filters": {"environment": CARTPOLE, "algorithm": {"ppo": PPO}, "model": FILTERS},
    "ppo-lstm": {"environment": CARTPOLE, "algorithm": {"ppo": PPO}, "model": MEMORY},
    "ppo-evaluated": {
        "environment": CARTPOLE,
        "algorithm": {"ppo": PPO},
        "evaluation": {"everyEnvSteps": 200, "episodes": 2},
    },
    "ppo-agents": {"environment": MEETING, "algorithm": {"ppo": PPO}, "policies": TWO},
    "ppo-agents-lstm": {"environment": MEETING, "algorithm": {"ppo": PPO}, "model": MEMORY},
    "a3c": {"environment": CARTPOLE, "algorithm": {"a3c": A2C | {"publishEvery": 3}}},
    "impala-lstm": {"environment": CARTPOLE, "algorithm": {"impala": IMPALA}, "model": MEMORY},
    "appo-agents": {
        "environment": MEETING,
        "algorithm": {"appo": APPO},
        "policies": TWO,
        "model": FILTERS,
    },
    "dqn": {"environment": CARTPOLE, "algorithm": {"dqn": REPLAY}},
    "apex-agents": {"environment": MEETING, "algorithm": {"apex": APEX | {"bufferSize": 1000}}},
    "dqn-agents": {"environment": MEETING, "algorithm": {"dqn": REPLAY}},
}


def exact_job(case: str, env_steps: int = 4_000, every_updates: int | None = None) -> TrainingJob:
    """Learning rates fall and checkpoints come every three iterations or so."""
    every = (
        every_updates
        or {"ppo": 48, "a3c": 24, "impala": 24, "appo": 48, "dqn": 170, "apex": 170}[case.partition("-")[0]]
    )
    spec = {
        "schedules": {"learningRate": {"kind": "linear", "final": 0.0}},
        "stop": {"envSteps": env_steps},
        "checkpoint": {"exact": True, "everyUpdates": every},
    }
    return job(**CASES[case], **spec)


class Stop:
    """Asks the run to stop, as a person would, once it has taken so many env steps."""

    def __init__(self, env_steps: int) -> None:
        self.env_steps, self.reports = env_steps, 0

    def __call__(self, report: Report) -> None:
        self.reports += 1
        if report.env_steps >= self.env_steps:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("case", CASES)
def test_a_drained_run_that_goes_on_ends_with_the_same_weights(case: str, tmp_path: Path) -> None:
    of = exact_job(case)
    whole = train(of, tmp_path / "whole")
    part = train(of, tmp_path / "parts", on_report=Stop(1_700))
    assert part.state == "Drained"
    assert 1_700 <= part.env_steps < 3_600
    rest = train(of, tmp_path / "parts", taking="resume")
    assert rest.state == whole.state == "Succeeded"
    assert (rest.env_steps, rest.updates, rest.episodes) == (whole.env_steps, whole.updates, whole.episodes)
    assert rest.weights_digest == whole.weights_digest
    assert rest.weights_digest != part.weights_digest
    one, other = (_arrays(tmp_path / name) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    for name, leaf in one.items():  # moments, targets, replay, lanes: not only what was published
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)


class Crash:
    """Ends the run without a word at the n-th report."""

    def __init__(self, report: int) -> None:
        self.left = report

    def __call__(self, report: Report) -> None:
        self.left -= 1
        if not self.left:
            raise RuntimeError("crashed")


@pytest.mark.parametrize("at", [4, 5, 6, 7, 8])
def test_a_run_that_is_evaluated_goes_on_bit_for_bit_wherever_it_crashed(at: int, tmp_path: Path) -> None:
    """The best policy is kept in a checkpoint of its own, between the scheduled ones."""
    of = exact_job("ppo-evaluated", env_steps=3_000)
    whole = train(of, tmp_path / "whole")
    with pytest.raises(TrainingFailed, match="crashed"):
        train(of, tmp_path / "parts", on_report=Crash(at))
    rest = train(of, tmp_path / "parts", taking="resume")
    assert (rest.env_steps, rest.weights_digest) == (whole.env_steps, whole.weights_digest)


def _arrays(run: Path) -> dict[str, np.ndarray]:
    """Everything in the last checkpoint but the numbers of episodes: beginning anew once more raises them."""
    arrays = load(resolve(str(run))).arrays
    flat = {f"{group}|{path}": leaf for group, tree in arrays.items() for path, leaf in tree.items()}
    return {name: leaf for name, leaf in flat.items() if not name.endswith(("life", "episode"))}


def _train_in_child(of: TrainingJob, folder: Path, first: bool) -> None:
    train(of, folder, taking="new" if first else "resume")


def _progress(folder: Path) -> list[dict[str, Any]]:
    path = folder / "progress.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.mark.parametrize("case", ["ppo-lstm", "dqn"])
def test_ten_kills_in_a_row_lose_no_more_than_one_interval_and_not_a_bit(case: str, tmp_path: Path) -> None:
    every = 32 if "ppo" in case else 100
    of = exact_job(case, env_steps=100_000, every_updates=every)
    interval = every * 16 + 256 if "ppo" in case else every * 4 + 1024  # env steps, plus one report
    folder, rng = tmp_path / "run", np.random.default_rng(7)
    kept = 0
    for kill in range(10):
        child = multiprocessing.get_context("fork").Process(
            target=_train_in_child, args=(of, folder, kill == 0)
        )
        child.start()
        _wait_for_steps(child, folder, kept + interval)
        time.sleep(float(rng.uniform(0.0, 0.1)))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        reached = _progress(folder)[-1]["envSteps"]
        checkpoint = load(resolve(str(folder)))
        saved = checkpoint.state["plan"]["counters"]["env_steps"]
        assert reached - interval <= saved, f"kill {kill}: reached {reached}, kept {saved}"
        assert saved >= kept
        kept = saved
    rest = train(_ending_at(of, kept + 3 * interval), folder, taking="resume")
    whole = train(_ending_at(of, kept + 3 * interval), tmp_path / "whole")
    assert rest.state == whole.state == "Succeeded"
    assert rest.weights_digest == whole.weights_digest


def _wait_for_steps(child: Any, folder: Path, env_steps: int) -> None:
    deadline = time.monotonic() + 60
    while child.is_alive() and time.monotonic() < deadline:
        lines = _progress(folder)
        if lines and lines[-1]["envSteps"] >= env_steps:
            return
        time.sleep(0.02)
    raise AssertionError(f"the run did not reach {env_steps} env steps (exit code {child.exitcode})")


def _ending_at(of: TrainingJob, env_steps: int) -> TrainingJob:
    """The same job with another end; schedules keep theirs."""
    document = of.model_dump(mode="json", by_alias=True)
    document["spec"]["stop"]["envSteps"] = env_steps
    document["spec"]["schedules"]["learningRate"]["steps"] = of.spec.stop.env_steps
    return TrainingJob.model_validate(document)
