"""The writer in this process, over real pipes and a real sqlite store."""

from __future__ import annotations

import json
import os
import resource
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_channel import Channel
from rl_platform.tracking.mlflow_settings import MlflowSettings, load_state, settings_of
from rl_platform.tracking.mlflow_writer import Writer, _only_one
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report

KEY = "rollout/episode_return_mean"
VERSIONS = {"package": "1.2", "torch": None, "gitCommit": "abc"}
Points = Callable[..., list[tuple[int, float, int]]]


def append(run_dir: Path, *steps: int, value: float = 0.0) -> None:
    with ProgressLog(run_dir / "progress.jsonl") as log:
        for step in steps:
            metrics = {KEY: step + value, "train/default/loss": 1.0}
            log.append(Report(step, {"default": step}, step, step, step / 10, metrics))


def write(
    run_dir: Path,
    settings: MlflowSettings,
    status: str | None = "FINISHED",
    seconds: float = 30.0,
    hear: Callable[[dict[str, Any]], object] = lambda message: None,
) -> tuple[int, list[dict[str, Any]]]:
    """One writer's life, asked to finish at once or (``status`` None) left alone. Exit code, what it said.

    ``hear`` gets each message when it is said.
    """
    source, driver_end = os.pipe()
    said, sink = os.pipe()
    messages: list[dict[str, Any]] = []

    def listen() -> None:
        with open(said, "rb") as stream:
            for line in stream:
                messages.append(json.loads(line))
                hear(messages[-1])

    listener = threading.Thread(target=listen)
    listener.start()
    if status is not None:
        os.write(driver_end, json.dumps({"finish": status, "seconds": seconds}).encode() + b"\n")
    os.close(driver_end)
    settings.save(run_dir)
    try:
        code = Writer(run_dir, settings, Channel(source, sink)).serve()
    finally:
        os.close(sink)
        listener.join()
        os.close(source)
    return code, messages


@pytest.fixture
def settings(run_dir: Path, make_job: Callable[..., TrainingJob]) -> MlflowSettings:
    return settings_of(make_job(), run_dir, 1, VERSIONS)


def client_of(settings: MlflowSettings) -> MlflowClient:
    return MlflowClient(settings.tracking_uri, registry_uri=settings.tracking_uri)


def run_id_of(run_dir: Path, settings: MlflowSettings) -> str:
    return str(load_state(run_dir, settings)["run_id"])


def test_a_run_has_its_metrics_params_tags_and_artifacts(
    run_dir: Path, settings: MlflowSettings, points: Points
) -> None:
    before = [Report(0).time, Report(0).time + 60]
    append(run_dir, *range(0, 1500, 5))
    assert write(run_dir, settings) == (0, [{"finished": True}])
    run_id, client = run_id_of(run_dir, settings), client_of(settings)
    history = points(settings.tracking_uri, run_id)
    assert [(step, value) for step, value, _ in history] == [(step, step) for step in range(0, 1500, 5)]
    assert all(before[0] * 1000 <= millis <= before[1] * 1000 for _, _, millis in history)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "3"
    assert run.data.params["algorithm.ppo.gamma"] == "0.99"
    assert run.data.metrics["progress/default/agent_steps"] == 1495
    tags = run.data.tags
    assert tags["rlplatform.job.name"] == "poles"
    assert tags["mlflow.source.git.commit"] == "abc"
    assert tags["rlplatform.version.package"] == "1.2"
    assert "rlplatform.version.torch" not in tags
    assert tags["rlplatform.spec.digest"].startswith("sha256:")
    assert client.get_experiment(run.info.experiment_id).name == "poles"
    artifacts = {each.path for each in client.list_artifacts(run_id)}
    assert artifacts == {"spec.yaml", "result.json", "learning-curve.png"}
    assert (run_dir / "mlartifacts").is_dir()


def test_what_was_sent_is_not_sent_again_whatever_is_lost(
    run_dir: Path, settings: MlflowSettings, points: Points
) -> None:
    append(run_dir, 1, 2, 3)
    write(run_dir, settings)
    run_id = run_id_of(run_dir, settings)
    state = (run_dir / "tracking" / "state.json").read_text()
    append(run_dir, 4, 5)
    write(run_dir, settings)
    (run_dir / "tracking" / "state.json").write_text(state)  # died before it could note the last two
    append(run_dir, 6)
    write(run_dir, settings)
    shutil.rmtree(run_dir / "tracking")  # the folder of a pod that is gone
    append(run_dir, 7)
    assert write(run_dir, settings)[0] == 0
    assert run_id_of(run_dir, settings) == run_id
    assert [step for step, _, _ in points(settings.tracking_uri, run_id)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_run_that_goes_on_from_a_checkpoint_stays_one_run_without_double_points(
    run_dir: Path, settings: MlflowSettings, points: Points, make_job: Callable[..., TrainingJob]
) -> None:
    append(run_dir, 10, 20, 30)
    assert write(run_dir, settings, None)[0] == 0
    run_id, client = run_id_of(run_dir, settings), client_of(settings)
    assert client.get_run(run_id).info.status == "KILLED"
    with ProgressLog(run_dir / "progress.jsonl") as log:
        log.truncate_after(10)
    append(run_dir, 20, 30, 40, value=0.5)
    second = settings_of(make_job(stop={"envSteps": 2000}), run_dir, 2, VERSIONS)
    assert second.job_uid == settings.job_uid
    assert write(run_dir, second)[0] == 0
    assert run_id_of(run_dir, second) == run_id
    steps = [(step, value) for step, value, _ in points(settings.tracking_uri, run_id)]
    assert steps == [(10, 10), (20, 20), (30, 30), (40, 40.5)]
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["rlplatform.attempt"] == "2"
    assert run.data.params["stop.envSteps"] == "1000"
    assert json.loads(run.data.tags["rlplatform.changed-params"]) == {"stop.envSteps": "2000"}


def test_a_store_that_is_away_costs_a_warning_and_is_sent_everything_later(
    run_dir: Path, settings: MlflowSettings, migrated_store: Path, points: Points
) -> None:
    there = run_dir / "away" / "mlflow.db"
    there.parent.write_text("no folder yet")
    away = replace(settings, tracking_uri=f"sqlite:///{there}", artifact_location=None)
    append(run_dir, 1, 2)
    code, said = write(run_dir, away, "FAILED", seconds=0.5)
    assert code == 1
    assert said[-1] == {"finished": False}
    assert "does not take the run" in said[0]["warning"]
    assert "until it does" in said[0]["warning"]
    there.parent.unlink()
    there.parent.mkdir()
    shutil.copy(migrated_store, there)
    located = replace(away, artifact_location=(run_dir / "mlartifacts").as_uri())
    assert write(run_dir, located, "FAILED")[0] == 0
    assert [step for step, _, _ in points(away.tracking_uri, run_id_of(run_dir, away))] == [1, 2]
    assert client_of(away).get_run(run_id_of(run_dir, away)).info.status == "FAILED"


def test_a_full_disk_costs_a_warning_and_no_report_once_there_is_room_again(
    run_dir: Path, settings: MlflowSettings, points: Points
) -> None:
    append(run_dir, 1)
    write(run_dir, settings)
    append(run_dir, *range(2, 4000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (run_dir / "mlflow.db").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))
        code, said = write(
            run_dir, settings, hear=lambda message: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "disk" in said[0]["warning"]
    assert said[1:] == [{"warning": None}, {"finished": True}]
    assert code == 0
    steps = [step for step, _, _ in points(settings.tracking_uri, run_id_of(run_dir, settings))]
    assert steps == sorted(set(steps))
    assert len(steps) > 1000
    assert {1, 2, 3, 4, 3999} <= set(steps)


@pytest.mark.slow
def test_a_disk_that_is_full_while_the_store_is_made_costs_a_warning(
    run_dir: Path, settings: MlflowSettings, points: Points
) -> None:
    (run_dir / "mlflow.db").unlink()
    append(run_dir, 1, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        code, said = write(
            run_dir, settings, hear=lambda message: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "disk" in said[0]["warning"]
    assert (code, said[1:]) == (0, [{"warning": None}, {"finished": True}])
    assert [step for step, _, _ in points(settings.tracking_uri, run_id_of(run_dir, settings))] == [1, 2]


@pytest.mark.parametrize(
    ("result", "said", "expected"),
    [("Succeeded", "", "KILLED"), ("Failed", "", "FAILED"), ("Failed", "FINISHED", "FINISHED")],
)
def test_the_run_of_a_driver_that_died_ends_as_it_left_it(
    run_dir: Path, settings: MlflowSettings, result: str, said: str, expected: str
) -> None:
    append(run_dir, 1)
    (run_dir / "result.json").write_text(json.dumps({"state": result}))
    assert write(run_dir, replace(settings, status=said), None)[0] == 0
    assert client_of(settings).get_run(run_id_of(run_dir, settings)).info.status == expected


def test_a_run_that_somebody_deleted_is_made_anew_and_whole(
    run_dir: Path, settings: MlflowSettings, points: Points
) -> None:
    append(run_dir, 1, 2)
    write(run_dir, settings)
    deleted = run_id_of(run_dir, settings)
    client_of(settings).delete_run(deleted)
    append(run_dir, 3)
    assert write(run_dir, settings)[0] == 0
    run_id = run_id_of(run_dir, settings)
    assert run_id != deleted
    assert [step for step, _, _ in points(settings.tracking_uri, run_id)] == [1, 2, 3]


def test_a_run_without_episodes_ends_without_a_picture(run_dir: Path, settings: MlflowSettings) -> None:
    with ProgressLog(run_dir / "progress.jsonl") as log:
        log.append(Report(1, metrics={"train/default/loss": float("inf")}))
    assert write(run_dir, settings)[0] == 0
    artifacts = {each.path for each in client_of(settings).list_artifacts(run_id_of(run_dir, settings))}
    assert artifacts == {"spec.yaml", "result.json"}


def test_a_password_in_the_servers_uri_is_neither_shown_nor_recorded_nor_readable_by_others(
    run_dir: Path, make_job: Callable[..., TrainingJob]
) -> None:
    job = make_job(tracking={"mlflowUri": "http://me:secret@127.0.0.1:9"})
    settings = settings_of(job, run_dir, 1, VERSIONS)
    assert settings.tracking_uri == "http://me:secret@127.0.0.1:9"
    assert settings.artifact_location is None
    append(run_dir, 1)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        code, said = write(run_dir, settings, seconds=0.5)
    finally:
        del os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    assert code == 1
    assert "http://127.0.0.1:9" in said[0]["warning"]
    assert "secret" not in json.dumps([said, settings.params, settings.tags])
    assert (run_dir / "tracking" / "settings.json").stat().st_mode & 0o077 == 0


def test_a_writer_waits_until_the_one_before_it_is_gone(run_dir: Path) -> None:
    first = _only_one(run_dir)
    second = threading.Thread(target=lambda: _only_one(run_dir).close())
    second.start()
    second.join(0.3)
    assert second.is_alive()
    first.close()
    second.join(30)
    assert not second.is_alive()
