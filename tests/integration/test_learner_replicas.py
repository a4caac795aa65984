"""Learners in several processes: gradients summed by gloo, one of them lost, runs that go on bit for bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rl_platform.driver.building import assemble
from rl_platform.driver.result import Result
from rl_platform.driver.train import train
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report
from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.learner import Learner
from rl_platform.workers.losses import DataLost
from rl_platform.workers.remote_learner import RanksDiffer, RemoteLearner
from tests.integration.probes import job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_ranks import CASES
from tests.integration.test_ray_of_its_own import command, descendants
from tests.integration.test_remote_workers import distributed
from tests.integration.test_resume import Stop
from tests.workers.thread_ranks import Beside

pytestmark = pytest.mark.usefixtures("ray_here")
TWO_RANKS = {"learner": {"replicas": 2}}
TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="this machine has fewer than two GPUs")


def beside(case: str, updates: int, **learner: Any) -> Beside:
    """A learner in this process and two elsewhere, after so many updates from the same data."""
    made = assemble(job(**CASES[case]))
    elsewhere = assemble(job(**CASES[case], learner={"replicas": 2, **learner}))
    alone, ranks = made.run.learner, elsewhere.run.learner
    assert isinstance(alone, Learner)
    assert isinstance(ranks, RemoteLearner)
    elsewhere.start()
    both = Beside(alone, ranks)
    made.run.learner = both  # type: ignore[assignment]  # all that a plan calls
    made.workers.reset(0)
    for _ in made.plan:
        if made.plan.counters.updates > updates:
            return both
    raise AssertionError("a plan never ends by itself")


@pytest.mark.parametrize("case", ["ppo-lstm", "impala", "dqn-prioritized"])
def test_two_processes_learn_what_one_learns(case: str) -> None:
    both = beside(case, 20)
    both.ranks.close()
    assert both.differences[0] < 1e-5
    assert both.differences[-1] < 1e-4


def test_two_processes_stay_in_step_or_say_that_they_do_not() -> None:
    both = beside("ppo", 20)
    try:
        assert both.differences[0] < 1e-5
        assert both.differences[-1] < 1e-4
        (here,), *how = both.arguments
        assert both.ranks.update("default", [here, here], *how).steps > 0
        assert np.abs(both.ranks.snapshot("default")["optimizer/first"]).max() > 0
        (_, other) = both.ranks._ranks
        other.call.remote("load_weights", "default", 1.001 * both.alone.weights("default"))
        with pytest.raises(RanksDiffer, match="no longer hold equal parameters of policy default"):
            both.ranks.snapshot("default")
    finally:
        both.ranks.close()


class Holder:
    """What it gives a reference to is lost with it: something so small is nowhere else."""

    def hold(self, it: Any) -> list[Any]:
        import ray

        return [ray.remote(lambda: it).options(num_cpus=0).remote()]


def test_a_batch_of_which_one_rank_lacks_a_part_changes_none() -> None:
    import ray

    both = beside("ppo", 3)
    try:
        (here,), *how = both.arguments
        holder = ray.remote(Holder).remote()
        (reference,) = ray.get(holder.hold.remote({"default": here}))
        ray.kill(holder)
        lost = RemoteTrajectory("default", 0, 0, 0, here.steps, reference)
        before = both.ranks.weights("default")
        with pytest.raises(DataLost):
            both.ranks.update("default", [here, lost], *how)
        assert np.array_equal(both.ranks.weights("default"), before)
        assert both.ranks.update("default", [here, here], *how).steps > 0
        both.ranks.snapshot("default")
    finally:
        both.ranks.close()


@TWO_GPUS
@pytest.mark.parametrize("case", ["ppo-autograd", "dqn-prioritized"])
def test_two_gpus_learn_what_a_processor_learns(case: str) -> None:
    both = beside(case, 20, gpusPerReplica=1)
    both.ranks.close()
    assert both.differences[0] < 1e-4
    assert both.differences[-1] < 1e-2


class RankKiller:
    """Kills the process made last of this kind at the report with this number."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind, self.at = kind, at
        self.before: list[int] = []
        self.after: list[int] = []

    def __call__(self, report: Report) -> None:
        self.at -= 1
        processes = [it for it in descendants(os.getpid()) if f"ray::{self.kind}" in command(it)]
        if self.at == 0:
            self.before = sorted(processes)
            os.kill(self.before[-1], signal.SIGKILL)
        elif self.at < 0:
            self.after = sorted(processes)


def two_ranks() -> TrainingJob:
    return distributed("ppo-agents", **TWO_RANKS)


@pytest.fixture(scope="module")
def whole(ray_here: None, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run with two ranks that nothing happens to."""
    return train(two_ranks(), tmp_path_factory.mktemp("whole") / "run")


def test_it_is_what_one_learner_comes_to(whole: Result, tmp_path: Path) -> None:
    one = train(distributed("ppo-agents", learner={}), tmp_path / "run")
    assert (whole.env_steps, whole.updates) == (one.env_steps, one.updates)
    assert whole.learner_losses == 0


def test_a_run_with_two_ranks_goes_on_bit_for_bit(whole: Result, tmp_path: Path) -> None:
    part = train(two_ranks(), tmp_path / "run", on_report=Stop(1_700))
    assert part.state == "Drained"
    rest = train(two_ranks(), tmp_path / "run", taking="resume")
    assert (rest.env_steps, rest.updates, rest.episodes) == (whole.env_steps, whole.updates, whole.episodes)
    assert rest.weights_digest == whole.weights_digest != part.weights_digest


def test_a_killed_rank_takes_all_back_to_the_last_checkpoint(whole: Result, tmp_path: Path) -> None:
    killer = RankKiller("LearnerProcess", 6)
    killed = train(two_ranks(), tmp_path / "run", on_report=killer)
    assert killed.weights_digest == whole.weights_digest
    assert (killed.env_steps, killed.updates, killed.learner_losses) == (whole.env_steps, whole.updates, 1)
    assert len(killer.before) == len(killer.after) == 2
    assert not set(killer.before) & set(killer.after)
