"""``rlp run`` to its end, and what evaluate and plot make of the folder it leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rl_platform.spec.manifest import load_manifest
from tests.cli.commands import CARTPOLE, EXAMPLES, TINY, reports, result_of, rlp

Process = subprocess.CompletedProcess[str]


def test_a_run_leaves_its_spec_progress_checkpoints_and_result(finished: Process, run: Path) -> None:
    assert {"spec.yaml", "progress.jsonl", "checkpoints", "result.json"} <= {
        path.name for path in run.iterdir()
    }
    effective = load_manifest(run / "spec.yaml")
    assert effective.spec.stop.env_steps == 1024
    assert "gaeLambda" in (run / "spec.yaml").read_text(), "defaults are written out"
    assert reports(run) == 4
    assert "env steps" in finished.stdout


def test_a_batch_that_is_learned_from_at_once_is_of_the_newest_policy(finished: Process, run: Path) -> None:
    del finished
    lines = (run / "progress.jsonl").read_text().splitlines()
    assert {json.loads(line)["metrics"]["rollout/policy_lag"] for line in lines} == {0.0}


def test_the_result_says_what_was_reached_and_where(run: Path) -> None:
    result = result_of(run)
    assert result["state"] == "Succeeded"
    assert result["envSteps"] == 1024
    assert result["updates"] == 8
    assert result["seed"] == 1
    assert result["evaluation"]["episodes"] == 2
    assert result["startupSeconds"] < result["wallSeconds"] + 60
    assert result["envStepsPerSecond"] > 0
    assert re.fullmatch(r"[0-9a-f]{64}", result["weightsDigest"])
    assert {"package", "python", "torch", "gitCommit"} <= set(result["versions"])
    assert result["checkpoint"]
    missing = {"reason", "agentSteps", "episodeReturnMean", "episodes", "model"} - set(result)
    assert missing == set()


def test_json_prints_the_result_as_the_last_line(finished: Process, run: Path) -> None:
    assert json.loads(finished.stdout.splitlines()[-1]) == result_of(run)


def test_a_folder_that_holds_a_run_is_refused_and_left_as_it_is(workplace: Path, run: Path) -> None:
    before = (run / "result.json").read_text()
    ran = rlp(workplace, "run", CARTPOLE, *TINY)
    assert ran.returncode == 2
    assert "--resume" in ran.stderr
    assert "--overwrite" in ran.stderr
    assert "--output" in ran.stderr
    assert (run / "result.json").read_text() == before


def test_overwrite_replaces_the_run_with_the_same_weights_for_the_same_seed(
    tmp_path: Path, run: Path
) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "spec.yaml").write_text("of an older run")
    (tmp_path / "again" / "checkpoints").mkdir()
    (tmp_path / "again" / "checkpoints" / "old").write_text("")
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--output", "again", "--overwrite", "--quiet")
    assert ran.returncode == 0, ran.stderr
    assert (ran.stdout, ran.stderr) == ("", "")
    assert not (tmp_path / "again" / "checkpoints" / "old").exists()
    assert result_of(tmp_path / "again")["weightsDigest"] == result_of(run)["weightsDigest"]


def test_overwrite_spares_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--output", "thesis", "--overwrite")
    assert ran.returncode == 2
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"


def test_overwrite_and_resume_together_make_no_sense(tmp_path: Path) -> None:
    assert rlp(tmp_path, "run", CARTPOLE, "--overwrite", "--resume").returncode == 2


def test_a_wrong_override_is_refused_before_anything_starts(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "run", CARTPOLE, "--set", "spec.algorithm.ppo.gama=0.9")
    assert ran.returncode == 2
    assert "gamma" in ran.stderr
    assert not (tmp_path / "runs").exists()


def test_an_environment_that_does_not_exist_is_bad_configuration(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "run", CARTPOLE, *TINY, "--set=spec.environment.id=CartPool-v1", "--json")
    assert ran.returncode == 2
    assert json.loads(ran.stdout.splitlines()[-1])["reason"] == "BadConfiguration"
    assert "did you mean CartPole-v1" in ran.stderr


def test_an_environment_that_fails_ends_in_a_failure_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "import gymnasium\n\n\n"
        "class Broken(gymnasium.Wrapper):\n"
        "    def step(self, action):\n"
        "        raise RuntimeError('the motor is on fire')\n"
    )
    ran = rlp(
        tmp_path, "run", CARTPOLE, *TINY, "--set", "spec.environment.wrappers=[{entrypoint: 'broken:Broken'}]"
    )
    assert ran.returncode == 1, ran.stderr
    assert "the motor is on fire" in ran.stderr
    assert "CartPole-v1" in ran.stderr
    assert "broken.py" in ran.stderr
    assert "rl_platform" not in ran.stderr, "of the traceback, what is the user's"
    assert result_of(tmp_path / "runs" / "cartpole-ppo")["reason"] == "EnvironmentFault"


@pytest.mark.parametrize("source", ["folder", "checkpoint"])
def test_evaluate_plays_a_run_and_a_checkpoint(workplace: Path, run: Path, source: str) -> None:
    where = str(run) if source == "folder" else result_of(run)["checkpoint"]
    ran = rlp(workplace, "evaluate", where, "--episodes", "3", "--seed", "5", "--json")
    assert ran.returncode == 0, ran.stderr
    evaluation = json.loads(ran.stdout.splitlines()[-1])
    assert (evaluation["episodes"], evaluation["seed"]) == (3, 5)
    assert evaluation["returnMin"] <= evaluation["returnMean"] <= evaluation["returnMax"]
    assert evaluation["returnMin"] >= 1.0


def test_evaluating_what_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "evaluate", "nowhere")
    assert ran.returncode == 2
    assert "nowhere does not exist: expected a run's folder" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_plot_draws_a_png(workplace: Path, run: Path) -> None:
    ran = rlp(workplace, "plot", run, "--output", "curve.png")
    assert ran.returncode == 0, ran.stderr
    assert (workplace / "curve.png").read_bytes().startswith(b"\x89PNG")
    unnamed = rlp(workplace, "plot", run)
    assert (unnamed.returncode, Path(unnamed.stdout.strip())) == (0, run / "learning-curves.png")
    assert (run / "learning-curves.png").is_file()
    several = rlp(workplace, "plot", run, run)
    assert (several.returncode, several.stdout) == (0, "learning-curves.png\n"), several.stderr


def test_plotting_a_folder_without_a_run_is_an_input_error(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "plot", tmp_path)
    assert ran.returncode == 2
    assert str(tmp_path) in ran.stderr
    assert not (tmp_path / "learning-curves.png").exists()


@pytest.mark.parametrize("example", ["cartpole-ppo", "meeting-two"])
def test_the_policy_of_a_run_that_registers_no_model_is_loaded_from_its_folder(
    tmp_path: Path, example: str
) -> None:
    ran = rlp(tmp_path, "run", EXAMPLES / f"{example}.yaml", *TINY)
    assert ran.returncode == 0, ran.stderr
    program = ran.stdout.partition("Load the policy:\n")[2].splitlines()
    loading = [line.strip() for line in program if "load_policy" in line]
    loaded = subprocess.run(
        [sys.executable, "-c", "\n".join([*loading, "print(policy.spaces.action.kind)"])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert loaded.stdout == "discrete\n", loaded.stderr
