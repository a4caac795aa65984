"""``rlp run`` with workers elsewhere: it starts a Ray of its own, and whatever ends it, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rl_platform.driver.result import Result
from rl_platform.workers.replay_shards import SHARD_LOST

MANIFEST = """
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: own-ray}
spec:
  environment: {id: CartPole-v1}
  rollouts: {replicas: 2, envsPerWorker: 2}
  model: {hidden: [16]}
  algorithm: {ppo: {batchSize: 128, minibatchSize: 64, epochs: 2}}
  stop: {envSteps: 100000000}
  evaluation: {episodes: 0}
  tracking: {enabled: false}
  checkpoint: {everyUpdates: 40}
"""
SHARDS = MANIFEST.replace(
    "{ppo: {batchSize: 128, minibatchSize: 64, epochs: 2}}",
    "{apex: {batchSize: 32, bufferSize: 4000}}\n  learner: {replicas: 1}\n"
    "  replay: {placement: rollouts, shards: 2}",
).replace("everyUpdates: 40", "everyUpdates: 250")
MARK = "RLP_TEST_OF_RAY_OF_ITS_OWN"
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


class Run:
    """``rlp run`` in a process and a session of its own."""

    def __init__(self, folder: Path, *options: str, job: str = MANIFEST) -> None:
        self.folder = folder
        manifest = folder / "job.yaml"
        manifest.write_text(job)
        command = [sys.executable, "-m", "rl_platform.cli.main", "run", str(manifest), *options]
        command += ["--output", str(folder / "run"), "--quiet"]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        environment[MARK] = str(folder)
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)

    def reaches(self, env_steps: int) -> None:
        """Wait for a checkpoint beyond so many env steps."""
        awaited(lambda: self.process.poll() is not None or self.saved() > env_steps)
        assert self.process.poll() is None
        assert sum("RolloutProcess" in command(pid) for pid in self.family()) == 2

    def family(self) -> set[int]:
        return family(self.folder)

    def end(self, number: int, to_group: bool = False) -> int:
        """The exit code after a signal; nothing of the run is alive a minute later."""
        (os.killpg if to_group else os.kill)(self.process.pid, number)
        code = self.process.wait(240)
        try:
            awaited(lambda: not self.family(), seconds=60)
        except AssertionError:
            raise AssertionError([(pid, command(pid)) for pid in self.family()]) from None
        return code

    def result(self) -> Result:
        return Result.from_json(json.loads((self.folder / "run" / "result.json").read_text()))

    def saved(self) -> int:
        found = (self.folder / "run" / "checkpoints").glob("*/*/manifest.json")
        steps = [json.loads(file.read_text())["envSteps"] for file in found]
        return max(steps, default=-1)


def awaited(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def family(folder: Path) -> set[int]:
    """All that run and inherited the mark of this folder, whoever started them."""
    mark = f"{MARK}={folder}".encode()
    return {int(it.parent.name) for it in Path("/proc").glob("[0-9]*/environ") if mark in _bytes(it)}


def descendants(pid: int) -> Iterator[int]:
    for file in Path(f"/proc/{pid}/task").glob("*/children"):  # of threads, which come and go
        for child in _bytes(file).decode().split():
            yield int(child)
            yield from descendants(int(child))


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _bytes(file: Path) -> bytes:
    """Nothing where the process is gone, a zombie, or somebody else's."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files, short enough for Ray's sockets. What a failed test has left is ended."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rlp-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        for pid in family(tmp_path):
            os.kill(pid, signal.SIGKILL)


def test_a_ray_that_does_not_come_up_leaves_nothing(tmp_path: Path, short: Path) -> None:
    program = """
import time
from rl_platform.workers.ray_session import RaySession
try:
    RaySession(store_bytes=1).open()
except ValueError:
    print("refused", flush=True)
    time.sleep(600)
"""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"TMPDIR": str(short), MARK: str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"refused\n"
    awaited(lambda: family(tmp_path) == {process.pid}, seconds=60)


def test_a_killed_run_goes_on_and_a_drained_one_leaves_nothing(
    tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = set(os.listdir("/dev/shm"))
    monkeypatch.setenv("TMPDIR", str(short))
    killed = Run(tmp_path)
    killed.reaches(1_000)
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    kept = killed.saved()
    again = Run(tmp_path, "--resume")
    again.reaches(kept + 1_000)
    assert again.end(signal.SIGTERM) == 3
    assert again.result().state == "Drained"
    assert again.result().env_steps > kept + 1_000
    assert not set(os.listdir("/dev/shm")) - segments
    assert not list(short.glob("rlp-ray-*"))


@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["sigterm", "sigterm-to-the-group", "ctrl-c"],
)
def test_a_signal_while_ray_starts_is_a_request_to_stop(
    number: int, to_group: bool, tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(short))
    run = Run(tmp_path)
    awaited(lambda: any("gcs_server" in command(pid) for pid in run.family()))
    of_ray = [pid for pid in run.family() if "gcs_server" in command(pid)]
    assert all(os.getpgid(pid) != run.process.pid for pid in of_ray), "it gets what the run's group gets"
    assert run.end(number, to_group) == 3
    assert (run.result().state, run.result().message) == ("Drained", "")


def test_a_run_goes_on_without_a_shard_that_was_killed_and_leaves_nothing(
    tmp_path: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = set(os.listdir("/dev/shm"))
    monkeypatch.setenv("TMPDIR", str(short))
    run = Run(tmp_path, job=SHARDS)
    run.reaches(3_000)
    shards = [pid for pid in run.family() if "ReplayShard" in command(pid)]
    assert len(shards) == 2
    os.kill(shards[0], signal.SIGKILL)
    run.reaches(run.saved() + 3_000)
    assert run.end(signal.SIGTERM) == 3
    assert run.result().dropped[SHARD_LOST] > 500
    assert not set(os.listdir("/dev/shm")) - segments
    assert not list(short.glob("rlp-ray-*"))
