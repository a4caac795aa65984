"""The operator as a process of its own, measured from outside: its log, its metrics, what /proc says of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.transport import Request

ROOT = Path(__file__).resolve().parents[1]
FOR_EVER = str(30 * 86400)
STILL_SECONDS = 8.0
Noted = list[tuple[float, str, str | None]]
"""Monotonic seconds, name of a job, the resource version that was seen then."""


def environment() -> dict[str, str]:
    """Of a program that imports the operator."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}


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
        kept = {name: value for name, value in environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
        compiled = str(self.folder.parent / "compiled")
        return {**kept, "PYTHONPYCACHEPREFIX": compiled}

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

    def stop(self) -> tuple[Noted, Noted]:
        """Events as they were read, and passes as they began."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]
        notes = json.loads(self.notes.read_text())
        heard, began = ([tuple(it) for it in notes[name]] for name in ("heard", "began"))
        return heard, began


def server_cpu_seconds(kubeconfig: Path) -> float:
    """Of the API server, by its own metrics. It shares the cores with what is measured."""
    text = connect(kubeconfig).send(Request("GET", "/metrics", timeout_seconds=60)).body.decode()
    return float(re.findall(r"(?m)^process_cpu_seconds_total (\S+)$", text)[0])


def _seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)
