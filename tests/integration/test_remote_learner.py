"""A learner in a process of its own learns the same, from data that does not pass the driver."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.building import assemble
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.execution.run import Published
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import read_reports
from rl_platform.tracking.report import Report
from rl_platform.workers.fragment import RemoteTrajectory, fetched
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.remote_learner import RemoteLearner
from rl_platform.workers.weights import RemoteWeights
from tests.integration.probes import PPO, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_ray_of_its_own import command, descendants
from tests.integration.test_remote_workers import distributed

pytestmark = pytest.mark.usefixtures("ray_here")
ONE = {"learner": {"replicas": 1}}
EXACT = {"exact": True, "everyUpdates": 40}


@pytest.mark.parametrize("case", ["ppo-agents", "dqn"])
def test_it_learns_bit_for_bit_what_one_in_the_driver_learns(case: str, tmp_path: Path) -> None:
    here = train(distributed(case), tmp_path / "here")
    there = train(distributed(case, **ONE), tmp_path / "there")
    assert (there.env_steps, there.updates) == (here.env_steps, here.updates)
    assert there.weights_digest == here.weights_digest


def test_trajectories_do_not_pass_the_driver() -> None:
    """Ray knows where an object lies only if it is in an object store: what it sends along has no place."""
    from ray.experimental import get_object_locations

    made = assemble(distributed("ppo-filters", **ONE))
    workers = made.workers
    assert isinstance(workers, WorkerGroup)
    workers.start()
    try:
        request = workers.request(0, 200, made.run.published)
        trajectory = workers.receive(request).trajectories["default"]
        assert isinstance(trajectory, RemoteTrajectory)
        assert (trajectory.steps, trajectory.source, trajectory.sequence) == (400, 0, 0)
        places = get_object_locations([request.data, request.report])
        assert places[request.data]["node_ids"]
        assert not places[request.report]["node_ids"]
        assert fetched(trajectory).steps == 400
    finally:
        workers.close()


class LearnerKiller:
    """Kills the learner's process at the report with this number."""

    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.left = at, times

    def __call__(self, report: Report) -> None:
        self.at -= 1
        if self.at <= 0 and self.left:
            (learner,) = [it for it in descendants(os.getpid()) if "ray::LearnerProcess" in command(it)]
            os.kill(learner, signal.SIGKILL)
            self.left -= 1


class WorkerThenLearner(LearnerKiller):
    """Kills a rollout worker at the second report, and later the learner's process."""

    def __call__(self, report: Report) -> None:
        if self.at == 5:
            (worker,) = [it for it in descendants(os.getpid()) if "ray::RolloutProcess" in command(it)]
            os.kill(worker, signal.SIGKILL)
        super().__call__(report)


def small(**spec: Any) -> TrainingJob:
    algorithm = {"ppo": PPO | {"batchSize": 128, "minibatchSize": 64}}
    common = {"rollouts": {"replicas": 1, "envsPerWorker": 4}, "stop": {"envSteps": 2_000}}
    return job({"id": "CartPole-v1"}, algorithm, **(common | ONE | spec))


@pytest.mark.parametrize("at", [2, 9], ids=["before the first checkpoint", "after one"])
def test_a_killed_learner_begins_again_at_the_last_checkpoint(at: int, tmp_path: Path) -> None:
    of = small(checkpoint=EXACT)
    whole = train(small(checkpoint=EXACT, learner={}), tmp_path / "whole")
    killed = train(of, tmp_path / "killed", on_report=LearnerKiller(at))
    assert killed.weights_digest == whole.weights_digest
    assert (killed.env_steps, killed.updates) == (whole.env_steps, whole.updates)
    steps = [report.env_steps for report in read_reports(tmp_path / "killed" / "progress.jsonl")]
    assert steps == sorted(set(steps))


def test_workers_that_were_lost_before_the_learner_stay_counted(tmp_path: Path) -> None:
    result = train(small(), tmp_path / "run", on_report=WorkerThenLearner(6))
    assert (result.workers_lost, result.learner_losses) == (1, 1)


def test_a_learner_that_is_always_lost_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="the learner's process is gone"):
        train(small(), tmp_path / "run", on_report=LearnerKiller(1, times=9))


def test_weights_that_cannot_be_had_are_no_loss_of_the_worker() -> None:
    made = assemble(small())
    workers, learner = made.workers, made.run.learner
    assert isinstance(workers, WorkerGroup)
    assert isinstance(learner, RemoteLearner)
    made.start()
    try:
        _, never = learner._ranks[0].publication.options(num_returns=2).remote("default")
        learner.close()
        told = made.run.published["default"].held.summary.told
        lost = Published(RemoteWeights(learner.ray, never, told), {}, 1)
        with pytest.raises(LearnerLost, match="weights that the learner has published are gone"):
            _ = lost.weights
        request = workers.request(0, 8, {"default": lost})
        with pytest.raises(LearnerLost, match="weights that the learner has published are gone"):
            workers.receive(request)
        learner.start()
        made.run.publish(1, 0)
        assert workers.receive(workers.request(0, 8, made.run.published)).env_steps == 32
        assert workers.losses() == 0
    finally:
        made.close()
