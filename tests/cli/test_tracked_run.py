"""A run as the examples have it: tracked in MLflow, its policy registered and loaded again."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rl_platform.spec.manifest import load_manifest
from rl_platform.tracking.mlflow_settings import settings_of
from tests.cli.commands import CARTPOLE, TINY, clean_environment, result_of, rlp

TRACKED = tuple(argument for argument in TINY if "tracking" not in argument)
Process = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def tracked(workplace: Path) -> Process:
    ran = rlp(workplace, "run", CARTPOLE, *TRACKED)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_the_policy_is_registered_as_champion_in_the_runs_own_store(
    workplace: Path, tracked: Process
) -> None:
    run = workplace / "runs" / "cartpole-ppo"
    model = result_of(run)["model"]
    assert model["name"] == "cartpole-ppo"
    assert model["uri"] == "models:/cartpole-ppo@champion"
    assert str(model["version"]) == "1"
    assert (run / "mlflow.db").is_file()
    assert "models:/cartpole-ppo@champion" in tracked.stdout


def test_nothing_is_written_outside_the_runs_folder(workplace: Path, tracked: Process) -> None:
    del tracked
    assert [path.name for path in workplace.iterdir()] == ["runs"]
    assert [path.name for path in (workplace / "runs").iterdir()] == ["cartpole-ppo"]


def test_the_closing_lines_load_the_policy_in_five_lines_of_python(workplace: Path, tracked: Process) -> None:
    program = textwrap.dedent(tracked.stdout.partition("Load the policy:\n")[2])
    assert len(program.splitlines()) == 5
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=workplace,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() in ("0", "1")


def test_evaluate_plays_the_registered_model(workplace: Path, tracked: Process) -> None:
    del tracked
    ran = rlp(workplace, "evaluate", "models:/cartpole-ppo@champion", "--episodes", "2", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["episodes"] == 2


def test_evaluate_finds_the_environment_of_a_registered_model_without_its_runs_folder(
    workplace: Path, tracked: Process, tmp_path: Path
) -> None:
    del tracked
    store = f"--tracking-uri=sqlite:///{workplace / 'runs' / 'cartpole-ppo' / 'mlflow.db'}"
    for source in ("models:/cartpole-ppo@champion", "models:/cartpole-ppo/1"):
        ran = rlp(tmp_path, "evaluate", source, store, "--episodes", "2", "--json")
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout.splitlines()[-1])["episodes"] == 2
    assert list(tmp_path.iterdir()) == []
    for source in ("models:/cartpole-ppo@nobody", "models:/nothing@champion", "models:/cartpole-ppo/9"):
        ran = rlp(tmp_path, "evaluate", source, store)
        assert ran.returncode == 2
        assert f"there is no {source} in the registry at sqlite:///" in ran.stderr


def test_flush_finds_that_mlflow_has_all_and_repeats_nothing(workplace: Path, tracked: Process) -> None:
    del tracked
    said = [rlp(workplace, "flush", "runs/cartpole-ppo") for _ in range(2)]
    assert [ran.returncode for ran in said] == [0, 0], said
    with sqlite3.connect(workplace / "runs" / "cartpole-ppo" / "mlflow.db") as store:
        (rows,) = store.execute("SELECT count(*) FROM metrics WHERE key = 'rollout/episodes'").fetchone()
    assert rows == len((workplace / "runs/cartpole-ppo/progress.jsonl").read_text().splitlines())


def test_flushing_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "flush", "nowhere")
    assert ran.returncode != 0
    assert "nowhere" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_run_again_keeps_the_better_champion(workplace: Path, tracked: Process) -> None:
    """The same seed gives the same policy, which is not worse: the second version takes the alias over."""
    del tracked
    ran = rlp(workplace, "run", CARTPOLE, *TRACKED, "--overwrite")
    assert ran.returncode == 0, ran.stderr
    model = result_of(workplace / "runs" / "cartpole-ppo")["model"]
    assert (str(model["version"]), model["alias"]) == ("2", "champion")
    assert os.listdir(workplace) == ["runs"]


def test_flush_says_at_once_where_it_sends_to_and_soon_that_nobody_is_there(tmp_path: Path) -> None:
    job = load_manifest(CARTPOLE, ["spec.tracking.mlflowUri=http://me:secret@127.0.0.1:9"])
    settings_of(job, tmp_path / "run", 1, {}).save(tmp_path / "run")
    ran = rlp(tmp_path, "flush", "run")
    assert ran.returncode == 1
    first, last = ran.stderr.splitlines()
    assert first == "sending run to MLflow at http://127.0.0.1:9, in 600 s at most ..."
    assert last.startswith("error: run could not be sent: MLflow at http://127.0.0.1:9 did not answer for 20")
