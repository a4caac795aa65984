"""The wheel is whole: in a clean environment, away from this repository, it validates and trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT, library_files

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CACHE = ROOT / ".venv" / "uv-cache"
UV = Path(sys.executable).parent / "uv"
MANIFEST = ROOT / "helm" / "examples" / "cartpole-ppo.yaml"
TINY = (
    "--set=spec.stop.envSteps=2048",
    "--set=spec.evaluation.episodes=2",
    "--set=spec.tracking.enabled=false",
    "--json",
)


def succeed(*command: str | Path, cwd: Path, seconds: float = 300.0) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def environment_with(wheel: Path, extras: str, folder: Path) -> Path:
    """The ``bin`` of a new environment with the wheel and what it asks for, from the cache of the set-up."""
    if not (CACHE.is_dir() and UV.is_file()):
        pytest.skip("there is no package cache in .venv/uv-cache: `make setup` fills it")
    offline = ("--offline", "--quiet", "--cache-dir", CACHE)
    succeed(UV, "venv", *offline, "--python", sys.executable, "venv", cwd=folder)
    install = ("pip", "install", *offline, "--link-mode", "symlink", "--constraint", ROOT / "constraints.txt")
    succeed(UV, *install, "--python", folder / "venv" / "bin" / "python", f"{wheel}{extras}", cwd=folder)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with(wheel, "[train]", tmp_path_factory.mktemp("clean"))


def test_the_wheel_holds_the_whole_library_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {str(path.relative_to(ROOT)) for path in library_files()}
    assert wanted <= held
    assert {name.partition("/")[0] for name in held} == {"rl_platform", "rl_operator"}


def test_the_installed_wheel_is_what_runs(clean: Path, tmp_path: Path) -> None:
    where = succeed(clean / "python", "-c", "import rl_platform; print(rl_platform.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(clean.parent)


def test_the_installed_wheel_validates_and_trains(clean: Path, tmp_path: Path) -> None:
    assert "is valid" in succeed(clean / "rlp", "validate", MANIFEST, cwd=tmp_path)
    result = json.loads(succeed(clean / "rlp", "run", MANIFEST, *TINY, cwd=tmp_path).splitlines()[-1])
    assert (result["state"], result["envSteps"]) == ("Succeeded", 2048)
    program = "import rl_platform as r; print(r.load_policy('runs/cartpole-ppo').act([0.0, 0.0, 0.0, 0.0]))"
    assert succeed(clean / "python", "-c", program, cwd=tmp_path).strip() in ("0", "1")


def test_manifests_are_validated_where_nothing_that_trains_is_installed(wheel: Path, tmp_path: Path) -> None:
    bare = environment_with(wheel, "", tmp_path)
    assert "is valid" in succeed(bare / "rlp", "validate", MANIFEST, cwd=tmp_path)
    held = succeed(
        bare / "python", "-c", "import importlib.util as u; print(u.find_spec('numpy'))", cwd=tmp_path
    )
    assert held.strip() == "None"
