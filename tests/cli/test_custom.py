"""The example of an algorithm and a network of one's own runs as it says, and is as short as promised."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import EXAMPLES, result_of, rlp

CUSTOM = EXAMPLES / "custom"


def test_the_example_trains_and_its_policy_plays(tmp_path: Path) -> None:
    """Run from a copy of the folder, as the manifest's first line says."""
    shutil.copytree(
        CUSTOM, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "runs")
    )
    ran = rlp(
        tmp_path,
        "run",
        "reinforce.yaml",
        "--set=spec.stop.envSteps=2048",
        "--set=spec.tracking.enabled=false",
        "--set=spec.evaluation.episodes=2",
        "--quiet",
    )
    assert ran.returncode == 0, ran.stderr
    result = result_of(tmp_path / "runs" / "custom-reinforce")
    assert (result["state"], result["envSteps"], result["updates"]) == ("Succeeded", 2048, 2)
    played = rlp(tmp_path, "evaluate", "runs/custom-reinforce", "--episodes", "2", "--json")
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["episodes"] == 2


def test_the_plan_of_the_example_is_printed(tmp_path: Path) -> None:
    shutil.copytree(
        CUSTOM, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "runs")
    )
    ran = rlp(tmp_path, "plan", "reinforce.yaml")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("reinforce")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_plan_that_is_not_returned_is_told_in_a_sentence(tmp_path: Path, command: str) -> None:
    shutil.copytree(
        CUSTOM, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "runs")
    )
    file = tmp_path / "reinforce.py"
    file.write_text(file.read_text().replace("return flow.as_plan(", "flow.as_plan("))
    ran = rlp(tmp_path, command, "reinforce.yaml")
    assert ran.returncode == 2, ran.stderr
    assert "plan, reinforce.plan, returned None; expected a Plan" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["reinforce.py", "residual_net.py"])
def test_the_example_needs_fewer_than_40_lines_of_code(name: str) -> None:
    lines = (CUSTOM / name).read_text().splitlines()
    assert sum(1 for line in lines if line.strip() and not line.strip().startswith("#")) < 40
