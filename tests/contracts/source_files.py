"""The Python files of this repository, as git sees them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "rl_platform"


@cache
def python_files() -> tuple[Path, ...]:
    """Tracked and new files that git does not ignore; outside a git checkout, every file of the project."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        folders = ("rl_platform", "tests", "benchmarks", "helm", "operator")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(path for path in paths if path.is_file()))


def library_files() -> tuple[Path, ...]:
    return tuple(path for path in python_files() if path.is_relative_to(LIBRARY))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
