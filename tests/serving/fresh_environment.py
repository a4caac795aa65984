"""The environment of an application that serves policies: mlflow, numpy, onnxruntime, and nothing of ours.

``python -m tests.serving.fresh_environment`` builds it once, as ``.venv-serving``: from the packages that the
set-up keeps, or where they are gone, from a package index.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-serving"
CACHE = ROOT / ".venv" / "uv-cache"
PACKAGES = ("mlflow", "numpy", "onnxruntime")
_READY = FOLDER / "ready"


def build(timeout_seconds: float = 600) -> Path:
    """Build it where it is missing. Raises subprocess.SubprocessError where the packages cannot be had."""
    python = FOLDER / "bin" / "python"
    if _READY.exists():
        return python
    uv = Path(sys.executable).with_name("uv")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True, timeout=timeout_seconds
    )
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }

    def install(*command: str | Path, check: bool) -> bool:
        told = [*map(str, command), "--quiet", *constraints, *PACKAGES]
        return not subprocess.run(told, check=check, timeout=timeout_seconds, env=environment).returncode

    offline = ("pip", "install", "--offline", "--cache-dir", CACHE, "--python", python)
    if not (uv.exists() and CACHE.is_dir() and install(uv, *offline, check=False)):
        install(python, "-m", "pip", "install", check=True)
    _READY.touch()
    return python


if __name__ == "__main__":
    build()
