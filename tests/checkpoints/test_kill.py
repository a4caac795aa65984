"""SIGKILL at random moments while checkpoints are written: what was reported as saved is there, and whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from rl_platform.checkpoints.reading import load
from rl_platform.checkpoints.store import CheckpointStore

WRITER = """
import sys
import numpy as np
from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.checkpoints.store import CheckpointStore
uri, attempt = sys.argv[1], int(sys.argv[2])
store = CheckpointStore(uri, attempt, keep=2)
store.claim()
latest = store.latest()
n = latest.env_steps if latest else 0
while True:
    n += 1
    arrays = {f"group/{i}": {"x": np.full(20_000, n + i, np.int64)} for i in range(6)}
    store.save(Checkpoint({"n": n}, arrays), n, n)
    print(n, flush=True)
"""


def test_ten_kills_in_a_row_lose_nothing_that_was_saved_and_leave_nothing_that_does_not_load(
    tmp_path: Path,
) -> None:
    noise = random.Random(7)
    total = 0
    for attempt in range(1, 11):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(attempt)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        first = int(writer.stdout.readline())
        time.sleep(noise.uniform(0, 0.12))
        writer.kill()
        lines = writer.stdout.read().split()
        writer.wait()
        store = CheckpointStore(str(tmp_path), attempt, keep=2)
        latest = store.latest()
        assert latest is not None
        reported = int(lines[-1]) if lines else first
        assert latest.env_steps in (reported, reported + 1), "one more may be whole but not yet reported"
        assert first == total + 1, "the next attempt must go on from what was the latest"
        for ref in store.refs():
            found = load(ref)
            assert found.state == {"n": ref.env_steps}
            assert all((found.arrays[f"group/{i}"]["x"] == ref.env_steps + i).all() for i in range(6))
        total = latest.env_steps
    CheckpointStore(str(tmp_path), 11).claim()
    assert not list(tmp_path.rglob("*.partial"))
