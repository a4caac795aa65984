"""The layers in pyproject.toml bite: an import against them, planted into a copy of the library, is seen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source_files import LIBRARY, ROOT


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(LIBRARY, tmp_path / "rl_platform", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("data/tree.py", "import rl_platform.models.policy", "from the layers below it BROKEN"),
        ("workers/learner.py", "import rl_platform.tracking.report", "from the layers below it BROKEN"),
        ("execution/plan.py", "import rl_platform.serving.loading", "from the layers below it BROKEN"),
        ("serving/loading.py", "import rl_platform.envs.make", "nothing of training BROKEN"),
        ("models/policy.py", "import rl_platform.spec.model", "only through protocols BROKEN"),
        ("spec/fields.py", "import numpy", "nothing else BROKEN"),
        ("cli/get.py", "import kubernetes", "cluster.py knows the Kubernetes client BROKEN"),
    ],
)
def test_an_import_against_the_layers_is_refused(
    copy: Path, module: str, statement: str, contract: str
) -> None:
    with (copy / "rl_platform" / module).open("a") as file:
        file.write(f"\n{statement}\n")
    ran = lint(copy)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert contract in ran.stdout


def test_a_package_without_a_layer_is_refused(copy: Path) -> None:
    (copy / "rl_platform" / "novelty").mkdir()
    (copy / "rl_platform" / "novelty" / "__init__.py").write_text('"""New."""\n')
    ran = lint(copy)
    assert ran.returncode != 0
    assert "novelty" in ran.stdout + ran.stderr
