"""Memory of every process of a run with rollout workers and a learner elsewhere, over time.

``python benchmarks/memory_over_time.py [--minutes 20]`` runs helm/examples/cartpole-impala.yaml with two workers and a
learner, and says for each process how large it is (proportional set size) and how it grows: the slope of a line
through what was seen after the first quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = (
    "spec.rollouts.replicas=2",
    "spec.rollouts.envsPerWorker=8",
    "spec.learner.replicas=1",
    "spec.stop.envSteps=100000000000",
    "spec.schedules=null",
    "spec.checkpoint.exact=false",
    "spec.checkpoint.everyUpdates=null",
    "spec.tracking.enabled=false",
)
EVERY_SECONDS = 10.0


def family(root: int) -> Iterator[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(stat.parent.name))
    waiting = [root]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += children[each]


def size_mib(process: int) -> tuple[str, float] | None:
    """Name and proportional set size without what lies in shared memory; None where it is gone."""
    place = Path(f"/proc/{process}")
    try:
        words = place.joinpath("cmdline").read_bytes().split(b"\0")
        rows = dict(
            line.split(":", 1) for line in place.joinpath("smaps_rollup").read_text().splitlines()[1:]
        )
    except OSError:
        return None
    name = words[0].decode().rpartition("/")[2]
    if name.startswith("python"):
        name = next((word.decode().rpartition("/")[2] for word in words[1:] if word[:1] != b"-"), name)
    kib = sum(int(rows[kind].split()[0]) for kind in ("Pss_Anon", "Pss_File"))
    return name, kib / 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    given = parser.parse_args()
    seen: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="rlp-memory-") as folder:
        command = [str(Path(sys.executable).with_name("rlp")), "run", "helm/examples/cartpole-impala.yaml"]
        command += [part for option in OPTIONS for part in ("--set", option)]
        command += ["--output", f"{folder}/run", "--quiet"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        run = subprocess.Popen(command, cwd=ROOT, env=environment)
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < 60 * given.minutes:
                time.sleep(EVERY_SECONDS)
                if run.poll() is not None:
                    raise SystemExit(f"the run ended with {run.returncode} after {passed:.0f} s")
                for process in family(run.pid):
                    found = size_mib(process)
                    if found is not None:
                        seen[process, found[0]].append((passed / 3600, found[1]))
        finally:
            run.terminate()
            run.wait(120)
        result = json.loads(Path(folder, "run", "result.json").read_text())
    steps, updates = result["envSteps"], result["updates"]
    print(f"{given.minutes:g} minutes, {steps:,} env steps, {updates:,} updates")
    for (process, name), points in seen.items():
        hours, sizes = np.array(points).T
        late = hours > given.minutes / 60 / 4
        if late.sum() > 10:
            slope = float(np.polyfit(hours[late], sizes[late], 1)[0])
            print(f"{name} {process}: {sizes[-1]:.0f} MiB, {slope:+.1f} MiB an hour")
    return 0


if __name__ == "__main__":
    sys.exit(main())
