"""The environment of an application that serves policies: mlflow, numpy, onnxruntime, and nothing of ours.

``python -m tests.serving.fresh_environment`` builds it once, as ``.venv-serving`` (needs a package index).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-serving"
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
    install = (
        [str(uv), "pip", "install", "--python", str(python)]
        if uv.exists()
        else [str(python), "-m", "pip", "install"]
    )
    subprocess.run(
        [*install, "--quiet", *constraints, *PACKAGES],
        check=True,
        timeout=timeout_seconds,
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")},
    )
    _READY.touch()
    return python


if __name__ == "__main__":
    build()
