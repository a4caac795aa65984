"""The operator beside 10,000 jobs on a real API server: start, memory, latency, and that it leaves well alone.

    KUBEBUILDER_ASSETS=... python benchmarks/operator_scale.py [--jobs 10000] [--running 500] [--seconds 60]

Objects have 5 KiB with a full status, beside their managed fields. Running ones have a RayCluster and a head
that answers. Latency is from the API server's answer to a change until the pass that sees it begins.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretBytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.operator_population import NAMESPACE, Population, serve_heads
from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.runtime.transport import Request
from rl_operator.settings import Settings
from tests.apiserver.control_plane import ControlPlane

ROOT = Path(__file__).resolve().parents[1]
FOR_EVER = str(30 * 86400)
STILL_SECONDS = 8.0
WRITERS = 4


@dataclass
class Operator:
    """The measured process."""

    kubeconfig: Path
    folder: Path
    started: float = 0.0

    def __post_init__(self) -> None:
        self.server_before = server_cpu_seconds(self.kubeconfig)
        self.started = time.monotonic()
        self.notes, self.log = self.folder / "passes.json", self.folder / "operator.log"
        flags = ["--kubeconfig", str(self.kubeconfig), "--port", "0", "--reach", "direct"]
        flags += ["--key-file", str(self.folder / "key"), "--provisioning-deadline-seconds", FOR_EVER]
        flags += ["--unreachable-deadline-seconds", FOR_EVER, "--operator-namespace", "kube-system"]
        program = [sys.executable, str(ROOT / "benchmarks" / "measured_operator.py"), str(self.notes)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*program, *flags], stderr=log, env=self._environment())

    def _environment(self) -> dict[str, str]:
        """Modules are compiled by the first operator and not again, as an image has them."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        compiled = str(self.folder.parent / "compiled")
        return {**kept, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}", "PYTHONPYCACHEPREFIX": compiled}

    def get(self, path: str) -> str:
        """Raises OSError while nothing answers."""
        port = re.search(r"metrics on port (\d+)", self.log.read_text())
        if port is None:
            raise ConnectionError
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=60) as reply:
            return str(reply.read().decode())

    def metric(self, pattern: str) -> float:
        found = re.findall(rf"(?m)^{pattern}.* (\S+)$", self.get("/metrics"))
        return sum(float(it) for it in found)

    def writes(self) -> float:
        """Of anything but the Lease."""
        verbs = "create|update|patch|delete"
        of = rf'rl_operator_api_request_duration_seconds_count{{resource="(?!leases).*",verb="({verbs})"}}'
        text = self.get("/metrics")
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(of, line))

    def wait_ready(self) -> float:
        while True:
            try:
                self.get("/readyz")
                return time.monotonic() - self.started
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.02)

    def wait_still(self) -> float:
        """Until it has led, passed over every job and written nothing for a while; how many writes it took."""
        still_since, last = time.monotonic(), -1.0
        while time.monotonic() - still_since < STILL_SECONDS:
            now = self.writes()
            busy = self.metric("workqueue_depth") > 0 or self.metric("leader_election_master_status") < 1
            if busy or now != last:
                still_since, last = time.monotonic(), now
            time.sleep(0.5)
        return last

    def listed_seconds(self) -> float:
        """By the stamps of its own log, whose line may come a moment after /readyz."""
        while "caches are filled" not in self.log.read_text():
            time.sleep(0.05)
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        stamps = {it["message"].partition(" on ")[0]: it["time"][:-1] for it in lines}
        times = [_seconds(stamps[it]) for it in ("health and metrics", "caches are filled")]
        return times[1] - times[0]

    def memory(self, name: str = "VmRSS") -> float:
        """MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> list[tuple[float, str, str | None]]:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]
        return [tuple(it) for it in json.loads(self.notes.read_text())]


def server_cpu_seconds(kubeconfig: Path) -> float:
    """Of the API server, by its own metrics. It shares the cores with what is measured."""
    text = connect(kubeconfig).send(Request("GET", "/metrics", timeout_seconds=60)).body.decode()
    return float(re.findall(r"(?m)^process_cpu_seconds_total (\S+)$", text)[0])


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


def latencies(written: list[Written], began: list[tuple[float, str, str | None]]) -> list[float]:
    """Milliseconds, sorted. A pass may begin before the writer has its answer: that is 0."""
    by_name: dict[str, list[tuple[float, int]]] = {}
    for at, name, version in began:
        by_name.setdefault(name, []).append((at, int(version or 0)))
    found = []
    for each in written:
        first = next((at for at, version in by_name.get(each.name, ()) if version >= each.version), None)
        assert first is not None, f"{each} was never seen"
        found.append(max(0.0, first - each.at) * 1000)
    return sorted(found)


Row = tuple[str, float, float, str]
"""What, measured, at most (NaN: no bound), unit."""
NO_BOUND = float("nan")


def measure(jobs: int, running: int, seconds: float, folder: Path) -> Iterator[Row]:
    """Each row as soon as it is known."""
    server = ControlPlane(Path(os.environ["KUBEBUILDER_ASSETS"]), folder / "server")
    server.start()
    try:
        serve_heads()
        settings = Settings(token_key=SecretBytes(b"of no meaning here"), reach="direct")
        population = Population(server, settings)
        population.templates()
        with_templates = Operator(server.kubeconfig, _folder(folder / "first"))
        with_templates.wait_ready()
        with_templates.wait_still()
        with_templates.stop()
        population.multiply(jobs - running, running)
        operator = Operator(server.kubeconfig, _folder(folder / "second"))
        yield from _at_start(operator, jobs, running)
        yield from _under_change(operator, server.kubeconfig, jobs - running, seconds)
    finally:
        server.stop()


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


def _under_change(operator: Operator, kubeconfig: Path, finished: int, seconds: float) -> Iterator[Row]:
    writes, before, began_at = operator.writes(), operator.cpu_seconds(), time.monotonic()
    written = change(kubeconfig, finished, seconds, 50.0)
    took = time.monotonic() - began_at
    yield "changes a second", len(written) / took, NO_BOUND, ""
    yield "cores used meanwhile", (operator.cpu_seconds() - before) / took, NO_BOUND, ""
    time.sleep(2)
    yield "writes meanwhile", operator.writes() - writes, 0.0, ""
    yield "resident memory", operator.memory(), 130.0, "MiB"
    yield "its peak", operator.memory("VmHWM"), NO_BOUND, "MiB"
    found = latencies(written, operator.stop())
    yield "change to pass, median", statistics.median(found), 5.0, "ms"
    yield "change to pass, 99 of 100", found[int(len(found) * 0.99)], 50.0, "ms"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


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
