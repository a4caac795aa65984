"""The tracker with its real child process, as the driver uses it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import load_settings, load_state, settings_of
from rl_platform.tracking.mlflow_tracker import MlflowTracker, TrackingError, flush
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report
from tests.tracking.mlflow_server import MlflowServer

KEY = "rollout/episode_return_mean"
Points = Callable[..., list[tuple[int, float, int]]]

DRIVER = """
import sys, time
from pathlib import Path
from rl_platform.spec.manifest import load_manifest
from rl_platform.tracking.mlflow_tracker import MlflowTracker
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report
run_dir = Path(sys.argv[1])
tracker = MlflowTracker(load_manifest(run_dir / "spec.yaml"), run_dir, 1, {})
log = ProgressLog(run_dir / "progress.jsonl")
log.append(Report(1, metrics={"rollout/episode_return_mean": 1.0}))
tracker.start()
while tracker.run_id() is None:
    time.sleep(0.05)
log.append(Report(2, wall_seconds=1, metrics={"rollout/episode_return_mean": 2.0}))
assert not {"mlflow", "matplotlib", "torch"} & set(sys.modules)
print("there", flush=True)
time.sleep(600)
"""


def append(run_dir: Path, *steps: int) -> None:
    with ProgressLog(run_dir / "progress.jsonl") as log:
        for step in steps:
            log.append(Report(step, wall_seconds=step / 10, metrics={KEY: float(step)}))


def wait_for(condition: Callable[[], object], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def sent(run_dir: Path) -> int:
    """Bytes of the progress file that the child has noted as taken."""
    settings = load_settings(run_dir)
    state = load_state(run_dir, settings) if settings else {}
    return int(state.get("position", {}).get("offset", 0))


def child_of(tracker: MlflowTracker) -> int:
    process = tracker._process
    assert process is not None
    return process.pid


def status_of(run_dir: Path, run_id: str) -> str:
    from mlflow import MlflowClient

    uri = f"sqlite:///{run_dir / 'mlflow.db'}"
    return str(MlflowClient(uri, registry_uri=uri).get_run(run_id).info.status)


def test_a_killed_child_is_replaced_and_the_run_has_every_point_once(
    run_dir: Path, make_job: Callable[..., TrainingJob], points: Points
) -> None:
    tracker = MlflowTracker(make_job(), run_dir, 1, {"package": "1"})
    assert tracker.run_id() is None
    append(run_dir, 1, 2)
    tracker.start()
    wait_for(lambda: sent(run_dir) > 0)
    first = child_of(tracker)
    assert os.getsid(first) == first  # Ctrl-C in the terminal does not reach it
    assert os.getpriority(os.PRIO_PROCESS, first) > os.getpriority(os.PRIO_PROCESS, 0)
    append(run_dir, 3)
    os.kill(first, signal.SIGKILL)
    append(run_dir, 4)
    assert tracker.warning() is None
    assert tracker.finish("FINISHED", 120)
    run_id = tracker.run_id()
    assert run_id is not None
    assert [step for step, _, _ in points(tracker.tracking_uri, run_id)] == [1, 2, 3, 4]
    assert status_of(run_dir, run_id) == "FINISHED"


def test_a_killed_driver_leaves_a_run_that_is_whole_and_killed(
    run_dir: Path, make_job: Callable[..., TrainingJob], points: Points
) -> None:
    from rl_platform.spec.manifest import dump_manifest

    (run_dir / "spec.yaml").write_text(dump_manifest(make_job(), effective=True))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(run_dir)], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"there\n"
    driver.kill()
    driver.wait()
    driver.stdout.close()
    settings = load_settings(run_dir)
    assert settings is not None
    run_id = load_state(run_dir, settings)["run_id"]
    wait_for(lambda: status_of(run_dir, run_id) == "KILLED")
    assert [step for step, _, _ in points(settings.tracking_uri, run_id)] == [1, 2]


def test_a_child_that_cannot_live_is_a_warning_and_never_a_failure(
    run_dir: Path, make_job: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    tracker = MlflowTracker(make_job(), run_dir, 1, {})
    tracker.start()
    append(run_dir, 1)
    wait_for(lambda: tracker.warning() is not None)
    began = time.monotonic()
    assert not tracker.finish("FINISHED", 60)
    assert time.monotonic() - began < 5
    warning = tracker.warning()
    assert warning is not None
    assert "keeps dying" in warning
    assert f"rlp flush {run_dir}" in warning


def test_starting_and_asking_cost_the_training_process_next_to_nothing(
    run_dir: Path, make_job: Callable[..., TrainingJob]
) -> None:
    job = make_job()
    began = time.perf_counter()
    tracker = MlflowTracker(job, run_dir, 1, {})
    assert time.perf_counter() - began < 0.05
    times = []
    for _ in range(1000):
        began = time.perf_counter()
        tracker.warning()
        times.append(time.perf_counter() - began)
    assert sorted(times)[500] < 1e-5
    assert tracker.finish("FINISHED", 10)  # nothing was ever started


@pytest.mark.long
def test_a_server_that_comes_up_after_the_run_gets_all_of_it_by_a_flush(
    run_dir: Path, make_job: Callable[..., TrainingJob], migrated_store: Path, points: Points
) -> None:
    server = MlflowServer(run_dir)
    uri = server.uri
    tracker = MlflowTracker(make_job(tracking={"mlflowUri": uri}), run_dir, 1, {})
    append(run_dir, 1, 2, 3)
    tracker.start()
    wait_for(lambda: tracker.warning() is not None)
    assert uri in str(tracker.warning())
    assert "refused" in str(tracker.warning())
    append(run_dir, 4)
    began = time.monotonic()
    assert not tracker.finish("FINISHED", 600)
    assert time.monotonic() - began < 60
    assert f"rlp flush {run_dir}" in str(tracker.warning())
    with pytest.raises(TrackingError, match=f"{run_dir} could not be sent"):
        flush(run_dir, 1.0)
    shutil.copy(migrated_store, server.store)
    with server:
        flush(run_dir, 120)
        run_id = tracker.run_id()
        assert run_id is not None
        assert [step for step, _, _ in points(uri, run_id)] == [1, 2, 3, 4]
    assert list((run_dir / "server-artifacts").rglob("learning-curve.png"))


def test_a_flush_does_not_disturb_a_writer_at_work(
    run_dir: Path, make_job: Callable[..., TrainingJob]
) -> None:
    settings_of(make_job(), run_dir, 1, {}).save(run_dir)
    with open(run_dir / "tracking" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrackingError, match="still at work"):
            flush(run_dir, 0.1)


def test_a_folder_that_was_never_tracked_cannot_be_flushed(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="holds no run that was tracked"):
        flush(tmp_path, 1.0)
