"""A model is registered under its run or, where MLflow does not have that yet, later."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_platform.cli.flush import flush
from rl_platform.driver import telemetry as telemetry_module
from rl_platform.driver.promotion import _mlflow_run
from rl_platform.driver.run_folder import RunFolder
from rl_platform.driver.telemetry import Telemetry
from rl_platform.driver.train import train
from rl_platform.serving.registry import RegistryError
from rl_platform.serving.registry_process import RegistryStopped
from rl_platform.spec.manifest import load_manifest
from tests.cli.commands import CARTPOLE, TINY


class SlowTracker:
    """MLflow's child process, which has the run after so many seconds of a clock that jumps."""

    shown_uri = "http://mlflow:5000"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float, problem_after: float = 1e9) -> None:
        self.now, self.seconds, self.problem_after = 0.0, seconds, problem_after
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(telemetry_module, "time", clock)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def run_id(self) -> str | None:
        return "the run" if self.now >= self.seconds else None

    def warning(self) -> str | None:
        return "it is away" if self.now >= self.problem_after else None


def waiting(tracker: SlowTracker, folder: Path) -> Telemetry:
    telemetry = Telemetry(load_manifest(CARTPOLE), RunFolder(folder), 1, 0, None)
    telemetry.tracker = tracker
    return telemetry


@pytest.mark.parametrize(
    ("seconds", "problem", "stopped", "got", "until"),
    [
        (0.0, 1e9, 1e9, "the run", 0.0),
        (400.0, 1e9, 1e9, "the run", 400.0),
        (1e9, 1e9, 1e9, None, 600.0),
        (1e9, 70.0, 1e9, None, 70.0),
        (1e9, 1e9, 80.0, None, 80.0),
    ],
)
def test_a_child_at_work_is_waited_for_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    problem: float,
    stopped: float,
    got: str | None,
    until: float,
) -> None:
    tracker, phases = SlowTracker(monkeypatch, seconds, problem), list[str]()
    telemetry = waiting(tracker, tmp_path)
    assert telemetry.run_id(lambda: tracker.now >= stopped, phases.append) == got
    assert tracker.now == pytest.approx(until, abs=0.2)
    waited = "registering at http://mlflow:5000: waiting for MLflow to have the run"
    assert phases == ([waited] if until else [])


@pytest.mark.parametrize(
    ("problem", "stopped", "error", "text"),
    [
        (1e9, 1e9, RegistryError, "MLflow at http://mlflow:5000 did not have the run in time"),
        (70.0, 1e9, RegistryError, "it is away"),
        (1e9, 80.0, RegistryStopped, None),
    ],
)
def test_no_model_is_registered_without_its_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: float,
    stopped: float,
    error: type[Exception],
    text: str | None,
) -> None:
    tracker = SlowTracker(monkeypatch, 1e9, problem)
    attempt: Any = SimpleNamespace(
        telemetry=waiting(tracker, tmp_path), asked_to_stop=lambda: tracker.now >= stopped
    )
    with pytest.raises(error, match=text):
        _mlflow_run(attempt, tracker, lambda phase: None)


@contextmanager
def busy_child(run: Path) -> Iterator[None]:
    """Another writer at work in the folder: the run's own waits for it, alive."""
    (run / "tracking").mkdir(exist_ok=True)
    with open(run / "tracking" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_model_whose_run_is_not_there_in_time_is_registered_by_flush_under_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    for name, seconds in {"RUN_ID_SECONDS": 2.0, "RUN_ID_SAID_SECONDS": 0.5, "AWAY_SECONDS": 0.1}.items():
        monkeypatch.setattr(telemetry_module, name, seconds)
    monkeypatch.setattr("rl_platform.tracking.mlflow_tracker._GRACE_SECONDS", 1.0)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    overrides = [argument.removeprefix("--set=") for argument in TINY if "tracking" not in argument]
    job, run, phases = load_manifest(CARTPOLE, overrides), tmp_path / "run", list[str]()
    run.mkdir()
    # The folder of a run is taken when it is empty.
    held = busy_child(run)

    def hear(phase: str) -> None:
        phases.append(phase)
        if phase == "training":
            held.__enter__()

    try:
        result = train(job, run, on_phase=hear)
    finally:
        held.__exit__(None, None, None)
    assert (result.state, result.model) == ("Succeeded", None)
    assert "the model was not registered: MLflow at sqlite:///" in result.message
    assert f"register it later with rlp flush {run}" in result.message
    assert "registering: waiting for MLflow to have the run" in phases

    monkeypatch.setattr(telemetry_module, "RUN_ID_SECONDS", 600.0)
    assert flush(str(run)) == 0, capsys.readouterr().err
    uri = f"sqlite:///{run / 'mlflow.db'}"
    client = MlflowClient(uri, registry_uri=uri)
    version = client.get_model_version_by_alias("cartpole-ppo", "champion")
    assert version.run_id == json.loads((run / "tracking" / "state.json").read_text())["run_id"]
    assert len(client.search_model_versions("name = 'cartpole-ppo'")) == 1
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert model.source_run_id == version.run_id
    assert model.artifact_location.startswith((run / "mlartifacts").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
