"""The example of an environment of one's own runs as it says, and restoring the champion takes it along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, EXAMPLES, result_of, rlp


def test_the_example_is_found_beside_its_manifest_and_learned(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "own-environment", tmp_path, dirs_exist_ok=True)
    off = "--set=spec.tracking.enabled=false"
    ran = rlp(tmp_path, "run", "own-environment.yaml", off, "--quiet")
    assert ran.returncode == 0, ran.stderr
    result = result_of(tmp_path / "runs" / "own-environment")
    assert (result["state"], result["reason"]) == ("Succeeded", "ReturnReached")


@pytest.mark.slow
def test_the_champion_is_restored_and_challenged(tmp_path: Path) -> None:
    store = f"--set=spec.tracking.mlflowUri=sqlite:///{tmp_path}/mlflow.db"
    few = "--set=spec.evaluation.episodes=2"
    first = rlp(tmp_path, "run", CARTPOLE, store, few, "--set=spec.stop.envSteps=30720", "--quiet")
    assert first.returncode == 0, first.stderr
    manifest = EXAMPLES / "restore-champion.yaml"
    again = rlp(tmp_path, "run", manifest, store, few, "--set=spec.stop.envSteps=2048", "--quiet")
    assert again.returncode == 0, again.stderr
    begun, went_on = (result_of(tmp_path / "runs" / it) for it in ("cartpole-ppo", "restore-champion"))
    assert begun["model"]["uri"] == "models:/cartpole-ppo@champion"
    assert went_on["model"]["name"] == "cartpole-ppo"
    assert went_on["episodeReturnMean"] > 40, "it begins with what was learned: at random it would be 22"
