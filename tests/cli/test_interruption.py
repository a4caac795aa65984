"""A run that is told to stop saves first, says so by its exit code, and goes on where it was."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, TINY, reports, result_of, rlp, started, wait_for_reports

LONG = (*TINY, "--set=spec.stop.envSteps=51200", "--set=spec.checkpoint.everyUpdates=20")
NAME = "cartpole-ppo"
PREFLIGHT = 8
"""Steps that a run may take before it trains, to see that the environment works."""
COUNTED = "--set=spec.environment.wrappers=[{entrypoint: 'counting:Counted'}]"
COUNTING = """\
import atexit

import gymnasium


class Counted(gymnasium.Wrapper):
    steps = 0

    def step(self, action):
        Counted.steps += 1
        return self.env.step(action)


@atexit.register
def write():
    with open("steps.txt", "a") as file:
        file.write(f"{Counted.steps}\\n")
"""


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
    assert process.wait(120) == 3, (tmp_path / "stderr.txt").read_text()
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


def test_resume_of_a_finished_run_takes_only_the_steps_to_a_later_stop(tmp_path: Path) -> None:
    run = tmp_path / "runs" / NAME
    (tmp_path / "counting.py").write_text(COUNTING)
    counted = (*TINY, "--set=spec.evaluation.episodes=0", COUNTED)
    assert rlp(tmp_path, "run", CARTPOLE, *counted).returncode == 0
    later = ("--set=spec.stop.envSteps=2048", "--set=spec.algorithm.ppo.gamma=0.5")
    ran = rlp(tmp_path, "run", CARTPOLE, *counted, *later, "--resume")
    assert ran.returncode == 0, ran.stderr
    assert (
        "spec.algorithm.ppo.gamma was 0.99 and is 0.5; spec.stop.envSteps was 1024 and is 2048" in ran.stderr
    )
    for taken in (tmp_path / "steps.txt").read_text().split():
        assert 1024 <= int(taken) <= 1024 + PREFLIGHT, "begun again, not gone on"
    assert result_of(run)["envSteps"] == 2048
    assert reports(run) == 8


def test_resume_where_nothing_is_begins(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--resume")
    assert ran.returncode == 0, ran.stderr
    assert result_of(tmp_path / "runs" / NAME)["envSteps"] == 1024
