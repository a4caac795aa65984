"""A run that is told to stop saves first, says so by its exit code, and goes on where it was."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, TINY, reports, result_of, rlp, started, wait_for_reports

LONG = (*TINY, "--set=spec.stop.envSteps=51200", "--set=spec.checkpoint.everyUpdates=20")
NAME = "cartpole-ppo"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("uninterrupted")
    ran = rlp(folder, "run", CARTPOLE, *LONG)
    assert ran.returncode == 0, ran.stderr
    return str(result_of(folder / "runs" / NAME)["weightsDigest"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_stopped_run_exits_with_3_and_resumes_to_the_very_same_weights(
    tmp_path: Path, uninterrupted: str, number: signal.Signals
) -> None:
    run = tmp_path / "runs" / NAME
    process = started(tmp_path, "run", CARTPOLE, *LONG)
    wait_for_reports(process, run, 3)
    process.send_signal(number)
    assert process.wait(60) == 3, (tmp_path / "stderr.txt").read_text()
    stopped = result_of(run)
    assert stopped["state"] == "Drained"
    assert 0 < stopped["envSteps"] < 51_200
    assert stopped["checkpoint"]

    resumed = rlp(tmp_path, "run", CARTPOLE, *LONG, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    result = result_of(run)
    assert result["state"] == "Succeeded"
    assert result["envSteps"] == 51_200
    assert reports(run) == 200, "no report twice, none missing"
    assert result["weightsDigest"] == uninterrupted


def test_resume_of_a_finished_run_goes_on_to_a_later_stop(tmp_path: Path) -> None:
    run = tmp_path / "runs" / NAME
    assert rlp(tmp_path, "run", CARTPOLE, *TINY).returncode == 0
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--set=spec.stop.envSteps=2048", "--resume")
    assert ran.returncode == 0, ran.stderr
    assert result_of(run)["envSteps"] == 2048
    assert reports(run) == 8


def test_resume_where_nothing_is_begins(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--resume")
    assert ran.returncode == 0, ran.stderr
    assert result_of(tmp_path / "runs" / NAME)["envSteps"] == 1024
