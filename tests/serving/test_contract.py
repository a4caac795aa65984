"""Registered policies answer 1,000 recorded observations where this library, ray and torch are absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving import fresh_environment
from tests.serving.cases import ROWS, STEPS, Case, recording
from tests.serving.conftest import Registry

SCRIPT = Path(__file__).with_name("answering.py")
BLOCKED = ("rl_platform", "ray", "torch", "gymnasium", "onnx")


@pytest.fixture(scope="module")
def recordings(
    registry: Registry, policies: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Every case registered under its name, and its recording as a file."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, case in policies.items():
        registry.register(case, name)
        observations, actions = recording(case)
        np.savez(folder / f"{name}.npz", action=actions, **observations)
    return folder


def answers(
    python: Path | str, prefix: list[str], registry: Registry, recordings: Path, cwd: Path
) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [str(python), *prefix, registry.uri, str(recordings)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def check(said: dict[str, Any], policies: dict[str, Case]) -> None:
    assert ROWS * STEPS == 1000
    assert said["worst"].keys() == policies.keys()
    assert {name: worst for name, worst in said["worst"].items() if not worst <= 1e-5} == {}
    assert said["foreign"] == []


def test_models_answer_with_this_library_and_torch_blocked(
    registry: Registry, recordings: Path, policies: dict[str, Case], tmp_path: Path
) -> None:
    blocking = (
        "import sys, runpy\n"
        f"for name in {BLOCKED!r}: sys.modules[name] = None\n"
        f"sys.argv = ['answering', *sys.argv[1:]]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    (tmp_path / "blocked.py").write_text(blocking)
    said = answers(sys.executable, ["-I", str(tmp_path / "blocked.py")], registry, recordings, tmp_path)
    said["foreign"] = []  # blocked names are in sys.modules as None; an import of one would have failed
    check(said, policies)


@pytest.mark.long
def test_models_answer_in_a_fresh_environment(
    registry: Registry, recordings: Path, policies: dict[str, Case], tmp_path: Path
) -> None:
    try:
        python = fresh_environment.build(timeout_seconds=120)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f".venv-serving could not be built, because packages cannot be had here: {error}")
    said = answers(python, ["-I", str(SCRIPT)], registry, recordings, tmp_path)
    check(said, policies)
