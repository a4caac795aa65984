"""kubectl, as a user runs it."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def binary() -> str:
    """Skips the test where there is none."""
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("there is no kubectl on the PATH")
    return found


def kubectl(*arguments: str) -> str:
    """Its output; what went wrong fails the test."""
    ran = subprocess.run([binary(), *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, f"kubectl {' '.join(arguments)}: {ran.stderr}"
    return ran.stdout
