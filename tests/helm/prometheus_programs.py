"""prometheus and promtool: from the folder PROMETHEUS_ASSETS, or on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Skips the test where there is none."""
    folder = os.environ.get("PROMETHEUS_ASSETS", "")
    found = shutil.which(name, path=folder or None)
    if not found:
        pytest.skip(f"there is no {name}: make prometheus, or name its folder in PROMETHEUS_ASSETS")
    return found


def promtool(*arguments: str, folder: Path | None = None) -> str:
    """Its output; what it refuses fails the test."""
    ran = subprocess.run(
        [program("promtool"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
