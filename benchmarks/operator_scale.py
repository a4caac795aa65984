"""The operator beside 10,000 jobs on a real API server: start, memory, latency, and that it leaves well alone.

    KUBEBUILDER_ASSETS=... python benchmarks/operator_scale.py [--jobs 10000] [--running 500] [--seconds 60]

Objects have 5 KiB with a full status, beside their managed fields. Running ones have a RayCluster and a head
that answers. Latency is from the moment an event is read from the connection until the pass that sees it begins; how
long it took from the API server's answer to the change is shown too. All of it shares the machine's cores, so a bare
client's figures stand beside: what the API server alone takes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.operator_population import NAMESPACE, Population, serve_heads
from benchmarks.operator_process import Noted, Operator, environment, server_cpu_seconds
from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.settings import Settings
from tests.apiserver.control_plane import ControlPlane

WRITERS = 8
CALM_CORES = 0.1


def wait_calm(kubeconfig: Path) -> None:
    """Until the API server has digested what was put into its store: for seconds it reads all of that."""
    before = server_cpu_seconds(kubeconfig)
    while True:
        time.sleep(3)
        now = server_cpu_seconds(kubeconfig)
        if now - before < 3 * CALM_CORES:
            return
        before = now


class BareWatch:
    """Another process that watches the same jobs and does nothing with them."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._notes = folder / "bare.json"
        program = [sys.executable, str(Path(__file__).with_name("bare_watch.py")), str(kubeconfig)]
        self._process = subprocess.Popen(
            [*program, str(self._notes)], stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert self._process.stdout is not None
        self.listed_seconds = float(self._process.stdout.readline())

    def stop(self) -> Noted:
        self._process.terminate()
        assert self._process.wait(60) == 0
        return [tuple(it) for it in json.loads(self._notes.read_text())]


@dataclass(frozen=True)
class Written:
    """A change, when the server had taken it."""

    name: str
    version: int
    at: float


def change(kubeconfig: Path, finished: int, seconds: float, rate: float) -> list[Written]:
    """``rate`` changes a second of jobs that have ended, evenly."""
    written: list[Written] = []
    api, until = Api(connect(kubeconfig)), time.monotonic() + seconds

    def write(writer: int) -> None:
        due, number = time.monotonic() + writer / rate, writer
        while due < until:
            time.sleep(max(0.0, due - time.monotonic()))
            name = f"job-{(number * 7919) % finished:05d}"
            patch = {"metadata": {"annotations": {"benchmark": str(number)}}}
            answer = api.merge_patch(TRAINING_JOBS, NAMESPACE, name, patch)
            written.append(Written(name, int(answer["metadata"]["resourceVersion"]), time.monotonic()))
            due, number = due + WRITERS / rate, number + WRITERS

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return written


class Seen:
    """When somebody first knew a version of a job, or a later one."""

    def __init__(self, noted: Noted) -> None:
        self._by_name: dict[str, list[tuple[float, int]]] = {}
        for at, name, version in noted:
            self._by_name.setdefault(name, []).append((at, int(version or 0)))

    def at(self, change: Written) -> float:
        """Monotonic seconds."""
        of_job = self._by_name.get(change.name, ())
        first = next((at for at, version in of_job if version >= change.version), None)
        assert first is not None, f"{change} was never seen"
        return first


def latencies(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """Milliseconds from one to the other, sorted. A pass may begin before the writer has its answer: that is 0."""
    return sorted(max(0.0, later - earlier) * 1000 for earlier, later in pairs)


Row = tuple[str, float, float, str]
"""What, measured, at most (NaN: no bound), unit."""
NO_BOUND = float("nan")


def measure(jobs: int, running: int, seconds: float, folder: Path) -> Iterator[Row]:
    """Each row as soon as it is known."""
    server = ControlPlane(Path(os.environ["KUBEBUILDER_ASSETS"]), folder / "server")
    server.start()
    heads = serve_heads()
    try:
        settings = Settings(token_key=SecretBytes(b"of no meaning here"), reach="direct")
        population = Population(server, settings)
        population.templates()
        with_templates = Operator(server.kubeconfig, _folder(folder / "first"))
        with_templates.wait_ready()
        with_templates.wait_still()
        with_templates.stop()
        population.multiply(jobs - running, running)
        wait_calm(server.kubeconfig)
        yield from _sizes(server)
        served = server_cpu_seconds(server.kubeconfig)
        bare = BareWatch(server.kubeconfig, folder)
        yield "the jobs listed by a bare client", bare.listed_seconds, NO_BOUND, "s"
        served = server_cpu_seconds(server.kubeconfig) - served
        yield "CPU time of the API server meanwhile", served, NO_BOUND, "s"
        wait_calm(server.kubeconfig)
        operator = Operator(server.kubeconfig, _folder(folder / "second"))
        yield from _at_start(operator, jobs, running)
        yield from _under_change(operator, bare, jobs - running, seconds)
    finally:
        heads.kill()
        server.stop()


def _sizes(server: ControlPlane) -> Iterator[Row]:
    _, job = server.request("GET", TRAINING_JOBS.path(NAMESPACE, "job-00000"))
    managed = job["metadata"].pop("managedFields")
    kept, beside = (len(json.dumps(it, separators=(",", ":"))) / 1024 for it in (job, managed))
    yield "a job", kept, NO_BOUND, "KiB"
    yield "its managed fields beside", beside, NO_BOUND, "KiB"


def _at_start(operator: Operator, jobs: int, running: int) -> Iterator[Row]:
    yield "start to ready", operator.wait_ready(), 10.0, "s"
    yield f"{jobs:,} jobs, {running} clusters and heads listed", operator.listed_seconds(), 2.0, "s"
    yield "CPU time until then", operator.cpu_seconds(), NO_BOUND, "s"
    served = server_cpu_seconds(operator.kubeconfig) - operator.server_before
    yield "CPU time of the API server meanwhile", served, NO_BOUND, "s"
    assert operator.metric('rl_operator_cached_objects{resource="trainingjobs"}') == jobs
    assert operator.metric('rl_operator_cached_objects{resource="rayclusters"}') == running
    yield "resident memory, once ready and scraped", operator.memory(), 130.0, "MiB"
    yield "writes in the first pass over all", operator.wait_still(), 0.0, ""
    yield "resident memory after the first pass", operator.memory(), 130.0, "MiB"


def _under_change(operator: Operator, bare: BareWatch, finished: int, seconds: float) -> Iterator[Row]:
    writes, before, began_at = operator.writes(), operator.cpu_seconds(), time.monotonic()
    served_cpu = server_cpu_seconds(operator.kubeconfig)
    written = change(operator.kubeconfig, finished, seconds, 50.0)
    took = time.monotonic() - began_at
    yield "changes a second", len(written) / took, NO_BOUND, ""
    yield "cores used meanwhile", (operator.cpu_seconds() - before) / took, NO_BOUND, ""
    served_cpu = server_cpu_seconds(operator.kubeconfig) - served_cpu
    yield "cores used by the API server", served_cpu / took, NO_BOUND, ""
    time.sleep(2)
    yield "writes meanwhile", operator.writes() - writes, 0.0, ""
    yield "resident memory", operator.memory(), 130.0, "MiB"
    yield "its peak", operator.memory("VmHWM"), NO_BOUND, "MiB"
    served, (heard, began) = Seen(bare.stop()), (Seen(it) for it in operator.stop())
    for what, bounds, pairs in (
        ("change to a bare client", (NO_BOUND, NO_BOUND), [(it.at, served.at(it)) for it in written]),
        ("change to pass", (NO_BOUND, NO_BOUND), [(it.at, began.at(it)) for it in written]),
        ("event to pass", (5.0, 50.0), [(heard.at(it), began.at(it)) for it in written]),
    ):
        milliseconds = latencies(pairs)
        yield f"{what}, median", statistics.median(milliseconds), bounds[0], "ms"
        yield f"{what}, 99 of 100", _of_100(milliseconds, 99), bounds[1], "ms"


def _of_100(ordered: list[float], rank: int) -> float:
    return ordered[len(ordered) * rank // 100]


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--running", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0, help="of changes")
    given = parser.parse_args()
    if not os.environ.get("KUBEBUILDER_ASSETS"):
        print("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: make control-plane")
        return 2
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        for what, value, bound, unit in measure(given.jobs, given.running, given.seconds, Path(folder)):
            limit = "" if math.isnan(bound) else f" at most {bound:g}" + " MISSED" * (value > bound)
            kept = kept and "MISSED" not in limit
            print(f"{what:<50} {value:9.2f} {unit:<4}{limit}", flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
