"""Rollout workers in processes of their own: speed, a slow one among them, and the driver while it waits.

``python benchmarks/remote_workers.py`` prints one row for each claim. A Ray of its own is started once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from rl_platform.driver.building import Assembly, assemble
from rl_platform.execution import operators as op
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.ray_session import RaySession


class Sleeper(gymnasium.Env[Any, Any]):
    """Sleeps ``milliseconds`` a step; in the worker that comes first, ``slower`` times as long."""

    observation_space, action_space = Box(-1.0, 1.0, (4,), np.float32), Discrete(2)

    def __init__(self, milliseconds: float, folder: str = "", slower: int = 1) -> None:
        self.seconds = milliseconds / 1e3
        if folder and os.getpid() != int(Path(folder).name):
            try:
                (Path(folder) / "first").touch(exist_ok=False)
                self.seconds *= slower
            except FileExistsError:
                pass

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(self.seconds)
        return np.zeros(4, np.float32), 1.0, False, False, {}


def job(environment: dict[str, Any], workers: int, envs: int, learners: int = 0) -> TrainingJob:
    spec = {
        "environment": environment,
        "model": {"hidden": [64, 64], "activation": "tanh"},
        "algorithm": {"ppo": {"batchSize": 1024, "minibatchSize": 256, "epochs": 4}},
        "rollouts": {"replicas": workers, "envsPerWorker": envs},
        "learner": {"replicas": learners},
        "stop": {"envSteps": 10**9},
    }
    return TrainingJob.model_validate({"metadata": {"name": "remote"}, "spec": spec})


def started(of: TrainingJob) -> Assembly:
    """A run whose workers are on their way."""
    made = assemble(of)
    made.start()
    made.workers.reset(0)
    return made


def rate(made: Assembly, seconds: float) -> float:
    """Env steps per second of the plan, once every worker has answered."""
    began, steps = 0.0, 0
    for _ in made.plan:
        group, now = made.workers, time.perf_counter()
        if not began and (
            not isinstance(group, WorkerGroup) or all(it.host for it in group.members.by_number.values())
        ):
            began, steps = now, made.plan.counters.env_steps
        if began and now - began > seconds:
            return (made.plan.counters.env_steps - steps) / (now - began)
    raise AssertionError("a plan never ends by itself")


def sampling(made: Assembly, ticks: int) -> None:
    """Replace the plan by one that only samples, each fragment as soon as it is there."""
    run = made.run
    flow = op.rollouts(run, ticks=ticks, order="ready", in_flight=2).then(
        op.concat_batches(env_steps=1), _learned(), op.report(run)
    )
    plan = flow.as_plan("sampling")
    plan.wait, made.plan = made.plan.wait, plan


def _learned() -> Any:
    from rl_platform.execution.item import Item, Kind
    from rl_platform.execution.parts import Op

    def nothing(item: Item, counters: Any) -> Sequence[Item]:
        item.kind, item.info = Kind.UPDATE, {"stats": {}}
        return [item]

    return Op("nothing", frozenset({Kind.BATCH}), Kind.UPDATE, nothing)


def ppo(seconds: float) -> None:
    for workers, learners in ((0, 0), (2, 0), (2, 1)):
        made = started(job({"id": "CartPole-v1"}, workers, 8 // max(1, workers), learners))
        steps = rate(made, seconds)
        made.close()
        print(
            f"PPO CartPole-v1, {workers} workers, {learners} learners: {steps:,.0f} env steps/s", flush=True
        )


def one_slow(seconds: float, folder: Path) -> None:
    place = folder / str(os.getpid())
    place.mkdir(parents=True)
    kwargs = {"milliseconds": 2.0, "folder": str(place), "slower": 10}
    made = started(job({"entrypoint": "remote_workers:Sleeper", "kwargs": kwargs}, 4, 1))
    sampling(made, 16)
    steps = rate(made, seconds)
    made.close()
    alone = 3 / 0.002 + 1 / 0.02
    print(f"4 workers, one 10x slower: {steps:,.0f} of {alone:,.0f} env steps/s ({steps / alone:.0%})")


def waiting(seconds: float) -> None:
    """CPU of the driver while two workers are at something that takes long."""
    kwargs = {"milliseconds": 100.0}
    made = started(job({"entrypoint": "remote_workers:Sleeper", "kwargs": kwargs}, 2, 1))
    sampling(made, 10)
    rate(made, 1.0)
    before, began = time.process_time(), time.perf_counter()
    rate(made, seconds)
    share = (time.process_time() - before) / (time.perf_counter() - began)
    made.close()
    print(f"driver's CPU while it waits: {share:.1%} of a core")


def scaling(seconds: float, counts: Sequence[int]) -> None:
    for count in counts:
        made = started(
            job({"entrypoint": "remote_workers:Sleeper", "kwargs": {"milliseconds": 5.0}}, count, 1)
        )
        sampling(made, 40)
        steps = rate(made, seconds)
        made.close()
        print(
            f"{count} workers at 5 ms a step: {steps:,.0f} env steps/s ({steps / (count * 200):.0%} of 200 each)"
        )


def memory() -> None:
    made = started(job({"id": "CartPole-v1"}, 1, 8))
    rate(made, 1.0)
    for worker in Path("/proc").glob("[0-9]*/cmdline"):
        if worker.read_text().startswith("ray::RolloutProcess"):
            text = (worker.parent / "status").read_text()
            size = int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])
            print(f"a rollout worker of a small network: {size / 1024:.0f} MiB")
    made.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    parser.add_argument(
        "--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="of the scaling curve"
    )
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # is read when numpy is imported
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    session = RaySession(cpus=32)
    session.open()
    try:
        ppo(given.seconds)
        with tempfile.TemporaryDirectory() as folder:
            one_slow(given.seconds, Path(folder))
        waiting(given.seconds)
        memory()
        scaling(given.seconds, given.workers)
    finally:
        session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
