"""What make promises before anything is installed, and what the pinned versions cover."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from tests.contracts.source_files import ROOT

OLD_PYTHON = """#!/bin/sh
if [ "$1" = --version ]; then echo "Python 3.9.2"; else exit 1; fi
"""


def clone(folder: Path) -> Path:
    (folder / "benchmarks").mkdir()
    for name in ("Makefile", "benchmarks/benchmark.mk", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def tools(folder: Path, python: str | None) -> str:
    """A folder for PATH that holds what the recipe needs, and this python or none."""
    folder.mkdir()
    for name in ("bash", "sh", "rm", "head", "touch"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    if python is not None:
        (folder / "python3").write_text(python)
        (folder / "python3").chmod(0o755)
    return str(folder)


def test_an_old_python_is_refused_by_name_and_nothing_is_left_behind(tmp_path: Path) -> None:
    ran = make(clone(tmp_path), "setup", path=tools(tmp_path / "bin", OLD_PYTHON))
    assert ran.returncode != 0
    assert "needs Python 3.11 or newer" in ran.stderr
    assert "python3 is Python 3.9.2" in ran.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_machine_without_python_is_told_so(tmp_path: Path) -> None:
    ran = make(clone(tmp_path), "setup", path=tools(tmp_path / "bin", None))
    assert ran.returncode != 0
    assert "no python at all" in ran.stderr


def test_help_lists_the_commands_that_the_readme_names(tmp_path: Path) -> None:
    listed = make(clone(tmp_path), "help").stdout
    named = set(re.findall(r"`make ([a-z0-9-]+)`", (ROOT / "README.md").read_text()))
    assert named
    assert all(f"make {name}" in listed for name in named), listed


def test_every_dependency_is_pinned_and_no_pin_names_where_it_comes_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["train"],
        *project["dependency-groups"]["dev"],
    ]
    text = (ROOT / "constraints.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert {re.split(r"[^A-Za-z0-9-]", each)[0].lower() for each in wanted} - pinned == set()
    assert "://" not in text


WORKING_PYTHON = """#!/bin/sh
case "$1 $2" in
  "--version ") echo "Python 3.12.0" ;;
  "-m venv")
    mkdir -p "$3/bin" "$3/lib/python3.12/site-packages/torch"
    cp "$0" "$3/bin/python"
    printf '#!/bin/sh\\n' > "$3/bin/uv"
    chmod +x "$3/bin/uv" ;;
esac
"""
"""Makes an environment in which installing does nothing."""


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    python = folder.parent / "python"
    python.write_text(WORKING_PYTHON)
    python.chmod(0o755)
    ran = make(folder, "setup", f"PYTHON={python}")
    assert ran.returncode == 0, ran.stderr
    return ran


def test_an_environment_that_was_moved_or_lost_a_part_is_made_anew_and_keeps_its_caches(
    tmp_path: Path,
) -> None:
    (tmp_path / "old").mkdir()
    old = clone(tmp_path / "old")
    assert "Setting up" in set_up(old).stdout
    assert "Setting up" not in set_up(old).stdout, "whole"
    for name in ("bin/of-before", "uv-cache/wheel"):
        (old / ".venv" / name).parent.mkdir(exist_ok=True)
        (old / ".venv" / name).touch()
    moved = old.rename(tmp_path / "new name")
    assert "Setting up" in set_up(moved).stdout, "its scripts name the old folder"
    assert not (moved / ".venv/bin/of-before").exists()
    assert (moved / ".venv/uv-cache/wheel").exists()
    (moved / ".venv/lib/python3.12/site-packages/torch").rmdir()
    assert "Setting up" in set_up(moved).stdout, "half deleted"
    assert "Setting up" not in set_up(moved).stdout


def test_an_environment_that_is_a_link_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "mine").mkdir()
    folder = clone(tmp_path / "clone")
    (folder / ".venv").symlink_to(tmp_path / "mine")
    assert "Nothing to be done" in make(folder, "setup").stdout
    assert list((tmp_path / "mine").iterdir()) == []
