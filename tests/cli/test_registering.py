"""The end of a run, where its model is registered: it can be stopped, done later, and done twice."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, TINY, result_of, rlp, started
from tests.tracking.mlflow_server import MlflowServer

TRACKED = tuple(argument for argument in TINY if "tracking" not in argument)
PROMPT_SECONDS = 30.0
"""Far below what a server that does not answer is otherwise waited for."""


def wait_for_text(process: subprocess.Popen[str], folder: Path, text: str, seconds: float = 400.0) -> None:
    until = time.monotonic() + seconds
    while text not in (folder / "stderr.txt").read_text():
        assert process.poll() is None, (folder / "stderr.txt").read_text()
        assert time.monotonic() < until, f"no {text!r} in {seconds} s"
        time.sleep(0.05)


@contextlib.contextmanager
def mute_server() -> Iterator[str]:
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.long
def test_a_signal_while_registering_ends_the_run_promptly_and_resume_registers_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with mute_server() as uri:
        process = started(
            tmp_path, "run", CARTPOLE, *TRACKED, f"--set=spec.tracking.mlflowUri={uri}", "--output", "run"
        )
        wait_for_text(process, tmp_path, "registering")
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 3, (tmp_path / "stderr.txt").read_text()
        assert time.monotonic() - asked < PROMPT_SECONDS
    stopped = result_of(run)
    assert (stopped["state"], stopped["envSteps"], stopped["model"]) == ("Drained", 1024, None)
    assert "the model is not registered yet" in stopped["message"]

    resumed = rlp(tmp_path, "run", CARTPOLE, *TRACKED, "--output", "run", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    result = result_of(run)
    assert (result["state"], result["envSteps"], result["model"]["version"]) == ("Succeeded", 1024, "1")
    assert result["weightsDigest"] == stopped["weightsDigest"], "nothing was trained again"


@pytest.mark.long
def test_a_server_that_never_answers_is_left_to_flush_within_a_minute(tmp_path: Path) -> None:
    with mute_server() as uri:
        server = f"--set=spec.tracking.mlflowUri={uri.replace('//', '//me:secret@')}"
        process = started(tmp_path, "run", CARTPOLE, *TRACKED, server, "--output", "run")
        wait_for_text(process, tmp_path, f"registering at {uri} ...")
        began = time.monotonic()
        assert process.wait(400) == 0, (tmp_path / "stderr.txt").read_text()
        assert time.monotonic() - began < 90.0  # it takes 35 s, and more on a busy machine
    result = result_of(tmp_path / "run")
    assert (result["state"], result["model"]) == ("Succeeded", None)
    assert f"MLflow at {uri} did not answer" in result["message"]
    assert "rlp flush run" in result["message"]
    assert f"tracking at {uri} ..." in (tmp_path / "stderr.txt").read_text()


def versions_in(store: Path) -> int:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM model_versions").fetchone()
    return int(count)


@pytest.mark.long
def test_resume_of_a_finished_run_changes_nothing_and_says_the_same(tmp_path: Path) -> None:
    first = rlp(tmp_path, "run", CARTPOLE, *TRACKED, "--output", "run", "--json")
    assert first.returncode == 0, first.stderr
    run = tmp_path / "run"
    before = (run / "result.json").read_bytes()
    began = time.monotonic()
    again = rlp(tmp_path, "run", CARTPOLE, *TRACKED, "--output", "run", "--json", "--resume")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "there is nothing to resume" in again.stderr
    assert time.monotonic() - began < PROMPT_SECONDS
    assert (run / "result.json").read_bytes() == before
    # With another evaluation there is something to do, and the version stays the same one.
    other = rlp(
        tmp_path,
        *("run", CARTPOLE, *TRACKED, "--set=spec.evaluation.episodes=3", "--output", "run", "--resume"),
    )
    assert other.returncode == 0, other.stderr
    result = result_of(run)
    assert (result["evaluation"]["episodes"], result["model"]["version"]) == (3, "1")
    assert versions_in(run / "mlflow.db") == 1


def test_a_path_with_spaces_and_letters_of_any_language_is_a_place_like_any_other(tmp_path: Path) -> None:
    place = tmp_path / "mes modèles 模型"
    place.mkdir()
    ran = rlp(place, "run", CARTPOLE, *TRACKED, "--output", "rün 1", "--json")
    assert ran.returncode == 0, ran.stderr
    assert result_of(place / "rün 1")["model"]["version"] == "1"


def test_a_tracking_server_that_cannot_be_one_is_refused_before_the_run(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "run", CARTPOLE, *TRACKED, "--set=spec.tracking.mlflowUri=foo://bar")
    assert ran.returncode == 2
    assert "spec.tracking.mlflowUri" in ran.stderr
    assert "http://HOST:PORT" in ran.stderr
    by_variable = rlp(tmp_path, "run", CARTPOLE, *TRACKED, variables={"MLFLOW_TRACKING_URI": "http//typo"})
    assert by_variable.returncode == 2, by_variable.stderr
    assert "MLFLOW_TRACKING_URI is 'http//typo'" in by_variable.stderr
    assert not (tmp_path / "runs" / "cartpole-ppo" / "progress.jsonl").exists()


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_what_a_server_missed_by_an_outage_is_sent_and_registered_by_flush(tmp_path: Path) -> None:
    with MlflowServer(tmp_path) as server:
        miss_and_catch_up(tmp_path, server)


def miss_and_catch_up(tmp_path: Path, server: MlflowServer) -> None:
    # Few reports: each of them is a batch of rows for the server.
    endless = (
        *("--set=spec.stop.envSteps=1000000000", "--set=spec.stop.wallSeconds=40"),
        "--set=spec.algorithm.ppo.batchSize=16384",
    )
    arguments = (*TRACKED, f"--set=spec.tracking.mlflowUri={server.uri}", *endless)
    process = started(tmp_path, "run", CARTPOLE, *arguments, "--output", "run")
    run = tmp_path / "run"
    wait_for_text(process, tmp_path, "env steps")
    until = time.monotonic() + 30
    while sent(server.store) == 0 and time.monotonic() < until:
        time.sleep(0.1)
    assert process.poll() is None
    server.kill()
    assert process.wait(400) == 0, (tmp_path / "stderr.txt").read_text()
    result = result_of(run)
    assert (result["state"], result["model"]) == ("Succeeded", None)
    assert f"rlp flush {run.name}" in result["message"]
    assert sent(server.store) < last_step(run)

    away = rlp(tmp_path, "flush", "run")
    assert away.returncode == 1
    assert "refused" in away.stderr
    server.start()
    flushed = rlp(tmp_path, "flush", "run", timeout=400)
    assert flushed.returncode == 0, flushed.stderr
    assert "registered models:/cartpole-ppo@champion (version 1)" in flushed.stdout
    assert sent(server.store) == last_step(run) == result_of(run)["envSteps"]
    assert result_of(run)["weightsDigest"] == result["weightsDigest"]
    assert versions_in(server.store) == 1
    again = rlp(tmp_path, "flush", "run", timeout=400)
    assert (again.returncode, versions_in(server.store)) == (0, 1)


def sent(store: Path) -> int:
    """The last env step of which the server has the return; 0 where it has none yet."""
    with contextlib.closing(sqlite3.connect(store, timeout=30)) as connection:
        (step,) = connection.execute(
            "SELECT max(step) FROM metrics WHERE key = 'rollout/episode_return_mean'"
        ).fetchone()
    return int(step or 0)


def last_step(run: Path) -> int:
    return int(json.loads((run / "progress.jsonl").read_text().splitlines()[-1])["envSteps"])
