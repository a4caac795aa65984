"""How many rollout workers the driver, the learner and the object store can serve: costs, a model, and a check.

``python benchmarks/saturation.py [--write]`` measures what an item costs each part, for workloads of three sizes, and
says at how many workers each part is busy all the time. The model is checked where all can be had on one machine:
environments that only sleep, in fragments so short that the driver becomes the limit. ``--write`` puts the tables into
docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from remote_workers import sampling, started

from rl_platform.driver.building import Assembly
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.local import LocalWorkers
from rl_platform.workers.ray_session import RaySession

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
LINK_BYTES_PER_SECOND = 1.25e9  # 10 Gbit/s, the network of a usual cloud node: taken as given


class Body(gymnasium.Env[Any, Any]):
    """Shapes of a humanoid: 376 numbers seen, 17 joints moved. Costs next to nothing."""

    observation_space, action_space = Box(-10.0, 10.0, (376,), np.float32), Box(-1.0, 1.0, (17,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seen = self.np_random.standard_normal((64, 376)).astype(np.float32)
        self.ticks = 0
        return self.seen[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.ticks += 1
        return self.seen[self.ticks % 64], 1.0, False, self.ticks >= 1000, {}


@dataclass(frozen=True)
class Workload:
    """``step_seconds``: of its real environment, taken as given; the one measured here costs next to nothing."""

    name: str
    environment: dict[str, Any]
    model: dict[str, Any]
    fragment: int  # ticks
    batch: int  # env steps
    step_seconds: float
    seconds: float  # of measuring


ENVS = 8
WORKLOADS = (
    Workload(
        "CartPole", {"id": "CartPole-v1"}, {"hidden": [64, 64], "activation": "tanh"}, 128, 2048, 10e-6, 6
    ),
    Workload("Atari", {"entrypoint": "synthetic_image:SyntheticImage"}, {"hidden": []}, 32, 512, 1e-3, 20),
    Workload(
        "physics",
        {"entrypoint": "saturation:Body"},
        {"hidden": [256, 256], "activation": "tanh"},
        64,
        1024,
        1e-3,
        8,
    ),
)


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes, as measured."""

    act: float  # a worker, per env step, besides the environment's own
    driver: float  # its thread, per fragment
    learn: float  # the learner's process, per env step: fetching, joining, gradients
    store: float  # writing and reading a fragment, per env step
    nbytes: float  # per env step
    weights: int  # bytes of a publication


def job(load: Workload, workers: int) -> TrainingJob:
    spec = {
        "environment": load.environment,
        "model": load.model,
        "algorithm": {"impala": {"fragmentLength": load.fragment, "batchSize": load.batch}},
        "rollouts": {"replicas": workers, "envsPerWorker": ENVS},
        "learner": {"replicas": min(workers, 1)},
        "stop": {"envSteps": 10**9},
    }
    return TrainingJob.model_validate({"metadata": {"name": "saturation"}, "spec": spec})


@contextmanager
def timed(owner: Any, name: str, spent: list[float]) -> Iterator[None]:
    """Add up the seconds in a method."""
    plain = getattr(owner, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return plain(*args, **more)
        finally:
            spent[0] += time.perf_counter() - began

    setattr(owner, name, wrapped)
    try:
        yield
    finally:
        delattr(owner, name)


def in_one_process(load: Workload) -> tuple[float, float, float, int]:
    """Seconds per env step of acting and of learning, bytes per env step, and of the weights."""
    made = started(job(load, 0))
    acting, learning, nbytes, seen = [0.0], [0.0], 0, 0
    try:
        assert isinstance(made.workers, LocalWorkers)
        worker, learner = made.workers.worker, made.run.learner
        sample = worker.sample

        def counted(ticks: int) -> Any:
            nonlocal nbytes, seen
            fragment = sample(ticks)
            if seen < 3:  # before the clock starts
                nbytes += sum(len(pickle.dumps(each, 5)) for each in fragment.trajectories.values())
                seen += 1
            return fragment

        setattr(worker, "sample", counted)  # noqa: B010 - a method is replaced
        with timed(worker, "sample", acting), timed(learner, "update", learning):
            _, steps = passed(
                made, load.seconds, lambda: (acting.__setitem__(0, 0.0), learning.__setitem__(0, 0.0))
            )
            size = made.run.published["default"].weights.nbytes
    finally:
        made.close()
    return acting[0] / steps, learning[0] / steps, nbytes / (seen * load.fragment * ENVS), size


def passed(
    made: Assembly, seconds: float, begin: Any = lambda: None, learns: bool = True
) -> tuple[float, int]:
    """Run the plan so long, once all workers have answered and it ``learns``: seconds, env steps."""
    began, steps, counters = 0.0, 0, made.plan.counters
    for _ in made.plan:
        group, now = made.workers, time.perf_counter()
        up = not isinstance(group, WorkerGroup) or all(it.host for it in group.members.by_number.values())
        if not began and up and (counters.updates > 1 or not learns):
            began, steps = now, counters.env_steps
            begin()
        if began and now - began > seconds:
            return now - began, counters.env_steps - steps
    raise AssertionError("a plan never ends by itself")


def store_seconds(nbytes: int, seconds: float) -> float:
    """Of writing an array of so many bytes in one process and reading and copying it in another."""
    import ray

    @ray.remote(num_cpus=0)
    class Maker:
        def make(self) -> Any:
            return np.ones(max(1, nbytes), np.uint8)

    maker = Maker.remote()
    ray.get(maker.make.remote())
    began, count, ahead = time.perf_counter(), 0, [maker.make.remote() for _ in range(4)]
    while time.perf_counter() - began < seconds:
        np.array(ray.get(ahead.pop(0)))
        ahead.append(maker.make.remote())
        count += 1
    spent = (time.perf_counter() - began) / count
    ray.get(ahead)
    ray.kill(maker)
    return spent


@dataclass(frozen=True)
class Point:
    """Of the curve: env steps per second, and seconds of CPU per fragment of the driver and of a worker."""

    workers: int
    rate: float
    driver_thread: float
    driver_cpu: float
    worker_cpu: float


def curve(ticks: int, counts: Sequence[int], milliseconds: float, seconds: float) -> list[Point]:
    """With an environment that sleeps, one a worker, in fragments of so many ticks."""
    environment = {"entrypoint": "remote_workers:Sleeper", "kwargs": {"milliseconds": milliseconds}}
    points = []
    for count in counts:
        load = Workload("", environment, {"hidden": [64, 64], "activation": "tanh"}, ticks, 1024, 0, 0)
        of = job(load, count).model_dump(by_alias=True, exclude_none=True)
        of["spec"]["rollouts"]["envsPerWorker"], of["spec"]["learner"]["replicas"] = 1, 0
        made = started(TrainingJob.model_validate(of))
        sampling(made, ticks)
        marks: list[tuple[float, float, float]] = []

        def mark(into: list[tuple[float, float, float]] = marks) -> None:
            into.append((time.thread_time(), time.process_time(), workers_cpu()))

        try:
            spent, steps = passed(made, seconds, mark, learns=False)
            mark()
        finally:
            made.close()
        thread, process, workers = (after - before for before, after in zip(*marks, strict=True))
        fragments = steps / ticks
        points.append(
            Point(count, steps / spent, thread / fragments, process / fragments, workers / fragments)
        )
        print(points[-1], flush=True)
    return points


def workers_cpu() -> float:
    """Seconds of CPU of all rollout workers."""
    total = 0
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if command.read_bytes().startswith(b"ray::RolloutProcess"):
                fields = (command.parent / "stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / TICKS_PER_SECOND


def predicted(point: Point, alone: float, ticks: int, busy: Point, cores: int) -> tuple[float, str]:
    """Env steps per second of so many workers, and what limits them. ``busy``: where costs were read."""
    limits = {
        "the environments": point.workers * alone,
        "the driver": ticks / busy.driver_thread,
        "the machine's cores": cores * ticks / (busy.driver_cpu + busy.worker_cpu),
    }
    which = min(limits, key=lambda name: limits[name])
    return limits[which], which


def costs(load: Workload, driver: float) -> Costs:
    act, learn, nbytes, weights = in_one_process(load)
    steps = load.fragment * ENVS
    store = store_seconds(int(nbytes * steps), 3.0) / steps
    return Costs(act, driver, learn, store, nbytes, weights)


def rows(measured: dict[str, tuple[Workload, Costs]]) -> list[str]:
    lines = [
        "| workload | an env step takes a worker | fragment | bytes per env step | learner, per env step "
        "| store, per fragment | driver, per fragment |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (load, cost) in measured.items():
        steps = load.fragment * ENVS
        lines.append(
            f"| {name} | {1e6 * (load.step_seconds + cost.act):,.0f} µs, {1e6 * load.step_seconds:,.0f} of it given "
            f"| {steps:,} env steps, {cost.nbytes * steps / 1e3:,.0f} kB | {cost.nbytes:,.0f} "
            f"| {1e6 * cost.learn:,.1f} µs | {1e3 * cost.store * steps:,.2f} ms | {1e6 * cost.driver:,.0f} µs |"
        )
    lines += [
        "",
        "| workload | env steps/s of a worker | learner | object store | 10 Gbit/s link | driver |",
        "|---|---|---|---|---|---|",
    ]
    for name, (load, cost) in measured.items():
        worker, steps = 1 / (load.step_seconds + cost.act), load.fragment * ENVS
        link = LINK_BYTES_PER_SECOND / (cost.nbytes + cost.weights / load.batch)
        limits = (1 / cost.learn, 1 / cost.store, link, steps / cost.driver)
        lines.append(
            f"| {name} | {worker:,.0f} | " + " | ".join(f"{each / worker:,.1f}" for each in limits) + " |"
        )
    return lines


def check(ticks: int, counts: Sequence[int], seconds: float) -> tuple[list[str], Point]:
    points = curve(ticks, counts, 5.0, seconds)
    busy, alone, cores = points[-1], points[0].rate, os.cpu_count() or 1
    lines = ["| workers | env steps/s | of 200 each | the model says | limit |", "|---|---|---|---|---|"]
    for point in points:
        rate, limit = predicted(point, alone, ticks, busy, cores)
        lines.append(
            f"| {point.workers} | {point.rate:,.0f} | {point.rate / (200 * point.workers):.0%} | {rate:,.0f} "
            f"({point.rate / rate - 1:+.0%}) | {limit} |"
        )
    lines += [
        "",
        f"A fragment of {ticks} env steps costs the driver's thread {1e6 * busy.driver_thread:,.0f} µs, its process "
        f"{1e6 * busy.driver_cpu:,.0f} µs of CPU and a worker {1e6 * busy.worker_cpu:,.0f} µs.",
    ]
    return lines, busy


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each point of a curve")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 12, 16])
    parser.add_argument("--write", action="store_true", help="the tables of docs/scaling.md")
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # is read when numpy is imported
        os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execv(sys.executable, [sys.executable, *sys.argv])
    tables: dict[str, list[str]] = {}
    session = RaySession(cpus=32)
    session.open()
    try:
        tables["curve"], _ = check(40, given.workers, given.seconds)
        tables["short"], busy = check(1, given.workers, given.seconds)
        tables["costs"] = rows({load.name: (load, costs(load, busy.driver_thread)) for load in WORKLOADS})
    finally:
        session.close()
    for name, lines in tables.items():
        print(name, *lines, "", sep="\n")
    if given.write:
        text = DOCUMENT.read_text()
        for name, lines in tables.items():
            body = "\n".join(["", *lines, ""])
            text = re.sub(
                rf"(<!-- {name} -->)\n.*?(<!-- /{name} -->)",
                lambda match, body=body: f"{match[1]}{body}{match[2]}",
                text,
                flags=re.S,
            )
        DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
