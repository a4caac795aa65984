"""What a run leaves untouched, and that it ends, when something is not as it should be."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, TINY, rlp, started

ODD = Path(__file__).with_name("odd_environments.py")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    assert rlp(folder, "run", CARTPOLE, *TINY, "--output", "run", "--quiet").returncode == 0
    return folder


@pytest.mark.parametrize(
    ("taking", "job"),
    [
        ("--overwrite", "spec.environment.id=NoSuch-v0"),
        ("--resume", "spec.environment.id=NoSuch-v0"),
        ("--resume", "spec.environment.id=Acrobot-v1"),
    ],
)
def test_a_run_stays_as_it_was_where_the_new_job_cannot_begin(
    finished: Path, tmp_path: Path, taking: str, job: str
) -> None:
    shutil.copytree(finished / "run", tmp_path / "run")
    before = snapshot(tmp_path / "run")
    done = rlp(tmp_path, "run", CARTPOLE, *TINY, "--set", job, "--output", "run", taking, "--quiet")
    assert done.returncode == 2
    assert snapshot(tmp_path / "run") == before


def test_a_run_that_never_began_is_no_reason_to_refuse_the_next_one(tmp_path: Path) -> None:
    arguments = ("run", CARTPOLE, *TINY, "--output", "run", "--quiet")
    assert rlp(tmp_path, *arguments, "--set=spec.environment.id=CartPool-v1").returncode == 2
    assert json.loads((tmp_path / "run" / "result.json").read_text())["reason"] == "BadConfiguration"
    mended = rlp(tmp_path, *arguments)
    assert mended.returncode == 0, mended.stderr


def test_overwriting_keeps_a_persons_own_files(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "run", tmp_path / "run")
    (tmp_path / "run" / "notes.md").write_text("mine")
    assert rlp(tmp_path, "run", CARTPOLE, *TINY, "--output", "run", "--overwrite", "--quiet").returncode == 0
    assert (tmp_path / "run" / "notes.md").read_text() == "mine"


def test_a_second_run_in_a_folder_is_kept_out_while_the_first_goes_on(tmp_path: Path) -> None:
    first = started(tmp_path, "run", CARTPOLE, *TINY, "--set=spec.stop.envSteps=100000000", "--output", "run")
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "run" / "progress.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.1)
        for taking in ("--overwrite", "--resume"):
            second = rlp(tmp_path, "run", CARTPOLE, *TINY, "--output", "run", taking)
            assert second.returncode == 2
            assert "another process is running in run" in second.stderr
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=60) == 3


def test_a_signal_during_the_evaluation_ends_the_run_as_drained_and_resume_concludes_it(
    tmp_path: Path,
) -> None:
    long = "--set=spec.evaluation.episodes=100000"
    run = started(tmp_path, "run", CARTPOLE, *TINY, long, "--output", "run")
    until = time.monotonic() + 60
    while "evaluating" not in (tmp_path / "stderr.txt").read_text() and time.monotonic() < until:
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=30) == 3
    assert json.loads((tmp_path / "run" / "result.json").read_text())["state"] == "Drained"
    assert rlp(tmp_path, "run", CARTPOLE, *TINY, "--output", "run", "--resume").returncode == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["state"], result["envSteps"]) == ("Succeeded", 1024)


def odd(folder: Path, name: str, *more: str) -> tuple[int, str, Path]:
    shutil.copy(ODD, folder / "odd_environments.py")
    job = CARTPOLE.read_text().replace("id: CartPole-v1", f"entrypoint: odd_environments:{name}")
    (folder / "job.yaml").write_text(job)
    done = rlp(folder, "run", "job.yaml", *TINY, *more, "--output", "run", timeout=120)
    return done.returncode, done.stderr, folder / "run" / "result.json"


def test_episodes_that_never_end_are_evaluated_all_the_same(tmp_path: Path) -> None:
    code, _, result = odd(tmp_path, "Endless")
    assert code == 0
    assert json.loads(result.read_text())["evaluation"]["episodes"] == 2


def test_an_environment_that_leaves_the_process_is_a_failure_and_not_a_success(tmp_path: Path) -> None:
    code, stderr, result = odd(tmp_path, "Leaving")
    assert code == 1
    assert "field step: called sys.exit(0)" in stderr
    ended = json.loads(result.read_text())
    assert (ended["state"], ended["reason"]) == ("Failed", "EnvironmentFault")


def test_a_constructor_that_hangs_is_ended_in_the_same_way_by_run_and_plan(tmp_path: Path) -> None:
    short = "--set=spec.environment.stepTimeoutSeconds=2"
    code, stderr, _ = odd(tmp_path, "Slow", short)
    assert code == 1
    told = stderr.splitlines()[-1]
    assert "within 2 s" in told
    assert "time.sleep(3600)" in stderr, "where it hung"
    planned = rlp(tmp_path, "plan", "job.yaml", short, timeout=120)
    assert planned.returncode == 1
    assert planned.stderr.splitlines()[-1] == told.replace("EnvironmentFault: ", "")


def test_a_constructor_that_hangs_only_the_second_time_is_ended(tmp_path: Path) -> None:
    code, stderr, _ = odd(
        tmp_path,
        "Crowded",
        "--set=spec.environment.stepTimeoutSeconds=1",
        "--set=spec.rollouts.envsPerWorker=2",
    )
    assert code == 1
    assert "within 2 s (environment.stepTimeoutSeconds for each of 2)" in stderr


def test_ctrl_c_while_libraries_are_imported_ends_with_one_line(tmp_path: Path) -> None:
    run = started(tmp_path, "run", CARTPOLE, *TINY, "--output", "run")
    maps, until = Path(f"/proc/{run.pid}/maps"), time.monotonic() + 60
    while "pydantic_core" not in maps.read_text():
        assert time.monotonic() < until
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130
    assert (tmp_path / "stderr.txt").read_text() == "interrupted: nothing was started\n"
    assert not (tmp_path / "run").exists()


def test_a_signal_before_the_first_step_ends_the_run_before_it_trains(tmp_path: Path) -> None:
    shutil.copy(ODD, tmp_path / "odd_environments.py")
    wrapped = "--set=spec.environment.wrappers=[{entrypoint: 'odd_environments:Leisurely'}]"
    run = started(tmp_path, "run", CARTPOLE, *TINY, wrapped, "--output", "run")
    until = time.monotonic() + 60
    while "preflight" not in (tmp_path / "stderr.txt").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 3, (tmp_path / "stderr.txt").read_text()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["state"], result["envSteps"]) == ("Drained", 0)
    resumed = rlp(tmp_path, "run", CARTPOLE, *TINY, wrapped, "--output", "run", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["envSteps"] == 1024


def test_an_environment_that_leaves_its_bounds_is_told_once_and_goes_on(tmp_path: Path) -> None:
    code, stderr, _ = odd(tmp_path, "Boundless")
    assert code == 0
    (told,) = [line for line in stderr.splitlines() if line.startswith("warning: ")]
    assert "environment 'odd_environments:Boundless' number " in told
    assert "field obs: has values from 0 to 7; its space says -1 to 1" in told
