"""Updates per second of Ape-X and of DQN at one replay ratio, with an environment that takes a millisecond a step.

``python benchmarks/apex_updates.py`` measures in turn, several times, on a Ray of its own. Both learn by the same
loss from prioritised replay with the same network. DQN runs in one process, and once more with two rollout workers,
where its driver either waits for samples or learns. Ape-X has two rollout workers, with learner and replay in the
driver, and once more in processes of their own, which want cores of their own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from remote_workers import started

from rl_platform.driver.building import Assembly
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.ray_session import RaySession

COMMON = {
    "batchSize": 128,
    "bufferSize": 50_000,
    "learningStarts": 1_000,
    "fragmentLength": 8,
    "nStep": 3,
    "dueling": True,
    "prioritizedReplay": {},
}


def job(name: str, train_every: int, elsewhere: dict[str, Any]) -> TrainingJob:
    spec = {
        "environment": {"entrypoint": "remote_workers:Sleeper", "kwargs": {"milliseconds": 1.0}},
        "model": {"hidden": [128, 128], "activation": "relu"},
        "algorithm": {name: COMMON | {"trainEvery": train_every}},
        "stop": {"envSteps": 10**9},
        **elsewhere,
    }
    return TrainingJob.model_validate({"metadata": {"name": name}, "spec": spec})


def rates(made: Assembly, seconds: float) -> tuple[float, float]:
    """Updates and env steps per second, once learning goes on."""
    counters, began, before = made.plan.counters, 0.0, (0, 0)
    for _ in made.plan:
        now = time.perf_counter()
        if not began and counters.updates > 200:
            began, before = now, (counters.updates, counters.env_steps)
        if began and now - began > seconds:
            passed = now - began
            return (counters.updates - before[0]) / passed, (counters.env_steps - before[1]) / passed
    raise AssertionError("a plan never ends by itself")


def measured(of: TrainingJob, seconds: float) -> tuple[float, float]:
    made = started(of)
    try:
        return rates(made, seconds)
    finally:
        made.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--train-every", type=int, default=2, help="env steps per update")
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # is read when numpy is imported
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    workers = {"rollouts": {"replicas": 2, "envsPerWorker": 1}}
    apart = {"learner": {"replicas": 1}, "replay": {"placement": "rollouts", "shards": given.shards}}
    cases = {
        "DQN in one process": ("dqn", {"rollouts": {"envsPerWorker": 1}}),
        "DQN with 2 workers": ("dqn", workers),
        "Ape-X with 2 workers": ("apex", workers),
        "Ape-X with 2 workers, learner and replay apart": ("apex", workers | apart),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    session = RaySession(cpus=16)
    session.open()
    try:
        for turn in range(given.rounds):
            for name in cases if turn % 2 == 0 else reversed(cases):
                algorithm, elsewhere = cases[name]
                updates, steps = measured(job(algorithm, given.train_every, elsewhere), given.seconds)
                found[name].append(updates)
                print(f"{name}: {updates:,.0f} updates/s, {steps:,.0f} env steps/s", flush=True)
    finally:
        session.close()
    for base in list(cases)[:2]:
        for name in list(cases)[2:]:
            ratios = [apex / dqn for apex, dqn in zip(found[name], found[base], strict=True)]
            print(
                f"{name}: {statistics.median(found[name]):,.0f} updates/s, {statistics.median(ratios):.2f} times "
                f"({min(ratios):.2f} to {max(ratios):.2f}) those of {base}, {statistics.median(found[base]):,.0f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
