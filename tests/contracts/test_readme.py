"""The README is true: what it names exists, and the commands that it marks as quick do what it says."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT

README = (ROOT / "README.md").read_text()
SUFFIXES = ("py", "yaml", "md", "toml", "txt")
SECONDS = 240  # for one command on a busy machine
MADE_BY_A_RUN = {"spec.yaml"}


def named_files(text: str) -> set[str]:
    """Paths in backticks: those with a folder, and those that end as our files do."""
    quoted = re.findall(r"`([A-Za-z0-9_./-]+)`", text)
    return {
        name
        for name in quoted
        if (name.rpartition(".")[2] in SUFFIXES or name.startswith(("rl_platform/", "helm/", "tests/")))
        and name not in MADE_BY_A_RUN
    }


def console_blocks(text: str) -> list[tuple[str, list[str]]]:
    """Kind and commands of every ``console`` block; a line that ends with a backslash goes on in the next."""
    blocks = re.findall(r"^```console ?(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    whole = [(kind, re.sub(r"\\\n\s*", "", block).splitlines()) for kind, block in blocks]
    return [(kind, [line[2:] for line in lines if line.startswith("$ ")]) for kind, lines in whole]


def quick_blocks(text: str, kind: str = "quick") -> list[list[str]]:
    """The commands of every ``console quick`` block, or those of another kind."""
    return [commands for each, commands in console_blocks(text) if each == kind]


def test_every_file_that_the_readme_names_exists() -> None:
    names = named_files(README)
    assert len(names) > 5
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_a_file_that_is_not_there_would_be_seen() -> None:
    assert named_files("see `rl_platform/driver/none.py` and `x.yaml`, not `make test`") == {
        "rl_platform/driver/none.py",
        "x.yaml",
    }


def test_the_readme_keeps_the_places_that_benchmarks_and_learning_tests_fill() -> None:
    for name in ("learning", "benchmark"):
        assert README.index(f"<!-- {name} -->") < README.index(f"<!-- /{name} -->")


def test_the_readme_has_quick_commands() -> None:
    assert all(quick_blocks(README))
    assert len(quick_blocks(README)) >= 2


def test_every_command_is_run_here_or_on_a_cluster() -> None:
    """``quick`` and ``ray`` ones by the next test, ``cluster`` ones by tests/e2e/test_readme.py; ``managed``
    ones need what no test can have: the network, a cloud.
    """
    assert {kind for kind, _ in console_blocks(README)} == {"quick", "ray", "cluster", "managed"}


@pytest.mark.parametrize(
    "kind", [pytest.param("quick", marks=pytest.mark.long), pytest.param("ray", marks=pytest.mark.ray)]
)
def test_the_commands_of_the_readme_work(kind: str, tmp_path: Path) -> None:
    """One after the other in one folder, as somebody who reads it."""
    shutil.copytree(ROOT / "helm" / "examples", tmp_path / "helm" / "examples")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in itertools.chain(*quick_blocks(README, kind)):
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        assert ran.stdout, f"{command} says nothing"


def test_the_python_of_the_readme_works(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    short = '", ["spec.stop.envSteps=2048", "spec.evaluation.episodes=2", "spec.tracking.enabled=false"])'
    program = block.replace('.yaml")', f".yaml{short}")
    assert program != block
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    ran = subprocess.run(
        [sys.executable, "-c", f"observation = [0.0, 0.0, 0.0, 0.0]\n{program}\nprint(result.state, action)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() in (["Succeeded", "0"], ["Succeeded", "1"])


def test_the_commands_that_the_readme_shows_are_those_there_are() -> None:
    shown = set(re.findall(r"^\$ (?:cd \S+ && )?rlp (\w+)", README, re.MULTILINE))
    helped = subprocess.run(
        [sys.executable, "-m", "rl_platform.cli.main", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    there_are = set(re.findall(r"^    (\w+)(?: |$)", helped, re.MULTILINE))
    assert shown == there_are
