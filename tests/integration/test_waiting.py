"""A slow worker holds up no other, and a driver with nothing to do sleeps."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.building import Assembly, assemble
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.workers import group as groups
from rl_platform.workers import remote_learner
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.group import Request, WorkerGroup
from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.remote_learner import RemoteLearner
from tests.integration.probes import PPO, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_ray_of_its_own import command, descendants

pytestmark = pytest.mark.usefixtures("ray_here")
SECONDS = 6.0
SMALL = {"batchSize": 64, "minibatchSize": 64}


@contextmanager
def running(workers: int, ticks: int, **kwargs: Any) -> Iterator[Assembly]:
    environment = {"entrypoint": "tests.integration.sleepers:Sleeper", "kwargs": kwargs}
    algorithm = {"impala": {"batchSize": 256, "fragmentLength": ticks}}
    made = assemble(job(environment, algorithm, rollouts={"replicas": workers, "envsPerWorker": 1}))
    made.start()
    try:
        made.workers.reset(0)
        yield made
    finally:
        made.close()


def share_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """Env steps that came, of those that the workers made by their own clocks for as long as they sampled."""
    steps, seconds = Counter[int](), defaultdict[int, float](float)
    times: list[tuple[float, int]] = []
    receive = WorkerGroup.receive

    def noted(group: WorkerGroup, request: Request) -> Fragment:
        fragment = receive(group, request)
        steps[request.worker] += fragment.env_steps
        seconds[request.worker] += fragment.seconds
        if len(steps) == 4:
            times.append((time.perf_counter(), fragment.env_steps))
        return fragment

    monkeypatch.setattr(WorkerGroup, "receive", noted)
    folder = place / str(os.getpid())
    folder.mkdir(parents=True)
    with running(4, 16, seconds=0.005, folder=str(folder), slower=10) as made:
        for _ in made.plan:
            if times and times[-1][0] - times[0][0] > SECONDS:
                break
    monkeypatch.undo()
    own = [steps[worker] / seconds[worker] for worker in range(4)]
    assert max(own) > 5 * min(own), "one is much slower than the others"
    return sum(count for _, count in times[1:]) / (times[-1][0] - times[0][0]) / sum(own)


def test_a_worker_ten_times_slower_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = 0.0
    for attempt in range(3):
        best = max(best, share_kept(tmp_path / str(attempt), monkeypatch))
        if best >= 0.85:
            return
    raise AssertionError(f"of what the workers could sample, {best:.0%} came")


def test_a_driver_that_waits_sleeps() -> None:
    with running(2, 40, seconds=0.5) as made:
        group, waits, began, processor = made.workers, 0, 0.0, 0.0
        assert isinstance(group, WorkerGroup)
        plain = made.plan.wait
        assert plain is not None

        def counted(refs: list[Any], limit: float) -> Any:
            nonlocal waits
            waits += 1
            return plain(refs, limit)

        made.plan.wait = counted
        for _ in made.plan:
            now = time.perf_counter()
            if not began and len(group.ready()) == 2:
                began, processor, waits = now, time.process_time(), 0
            if began and now - began > SECONDS:
                break
        assert waits <= 2 * SECONDS, f"{waits} times in {SECONDS} seconds"
        share = (time.process_time() - processor) / (time.perf_counter() - began)
        assert share < 0.05, f"{share:.1%} of a core"


@pytest.mark.parametrize(
    "algorithm", [{"ppo": SMALL}, {"impala": {"fragmentLength": 16}}], ids=lambda it: next(iter(it))
)
def test_a_worker_that_stands_still_is_named_while_others_wait_for_it(
    algorithm: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In a round, or before a checkpoint."""
    monkeypatch.setattr(groups, "SILENT_SECONDS", 1.0)
    environment = {"entrypoint": "tests.integration.sleepers:Sleeper", "kwargs": {"seconds": 0.02}}
    made = assemble(job(environment, algorithm, rollouts={"replicas": 2, "envsPerWorker": 1}))
    made.start()
    stopped = 0
    try:
        for _ in made.plan:
            if made.plan.counters.env_steps and not stopped:
                stopped = max(it for it in descendants(os.getpid()) if "ray::RolloutProcess" in command(it))
                os.kill(stopped, signal.SIGSTOP)
                threading.Timer(4.5, os.kill, (stopped, signal.SIGCONT)).start()
                if "impala" in algorithm:
                    made.plan.settle()
                before = made.plan.counters.env_steps
            if stopped and made.plan.counters.env_steps > before + 100:
                break
    finally:
        made.close()
    said = [it.getMessage() for it in caplog.records if it.levelno == logging.WARNING]
    assert 2 <= len(said) <= 6
    for each in said:
        assert each.startswith("the run waits for a fragment of rollout worker ")
        assert f" on {socket.gethostname()}, for " in each


def test_what_the_learner_waits_for_is_told_with_what_the_cluster_has(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where something lacks, soon; where all is there, only after a while."""
    monkeypatch.setattr(remote_learner, "LACKING_SECONDS", 0.5)
    monkeypatch.setattr(remote_learner, "WARN_SECONDS", 1.5)
    of = job({"id": "CartPole-v1"}, {"ppo": PPO}, learner={"replicas": 2, "gpusPerReplica": 1})
    made = assemble(of)
    assert made.session is not None
    made.session.open()
    learner = made.run.learner
    assert isinstance(learner, RemoteLearner)
    learner.start()
    threading.Timer(4.2, learner.close).start()
    with pytest.raises(LearnerLost):
        learner.weights("default")
    said = [it.getMessage() for it in caplog.records if it.levelno == logging.WARNING]
    assert len(said) in (2, 3)
    assert "each of its 2 processes takes 1 CPU, 1 GPU" in said[0]
    assert "the cluster has 4 CPU" in said[0]


def test_a_run_whose_time_is_over_before_anything_came_has_failed(tmp_path: Path) -> None:
    environment = {"entrypoint": "tests.integration.sleepers:Sleeper", "kwargs": {"seconds": 0.5}}
    stop = {"envSteps": 9000, "wallSeconds": 2}
    workers = {"replicas": 1, "envsPerWorker": 1}
    made = job(environment, {"impala": {"fragmentLength": 64}}, rollouts=workers, stop=stop)
    with pytest.raises(TrainingFailed, match=r"no agent .* has acted .* is stop\.wallSeconds long enough"):
        train(made, tmp_path / "run")
