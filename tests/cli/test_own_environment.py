"""The example of an environment of one's own runs as it says, and restoring the champion takes it along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import CARTPOLE, EXAMPLES, TINY, result_of, rlp


def test_the_example_is_found_beside_its_manifest_and_learned(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "own-environment", tmp_path, dirs_exist_ok=True)
    off = "--set=spec.tracking.enabled=false"
    ran = rlp(tmp_path, "run", "own-environment.yaml", off, "--quiet")
    assert ran.returncode == 0, ran.stderr
    result = result_of(tmp_path / "runs" / "own-environment")
    assert (result["state"], result["reason"]) == ("Succeeded", "ReturnReached")


@pytest.mark.long
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


BROKEN = """import gymnasium


class Arm(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return self.seen({}), {}

    def seen(self, joints):
        return joints["elbow"]
"""


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_error_in_ones_own_environment_is_shown_where_it_is(command: str, tmp_path: Path) -> None:
    (tmp_path / "arm.py").write_text(BROKEN)
    mine = ("--set=spec.environment.id=null", "--set=spec.environment.entrypoint='arm:Arm'", *TINY)
    ran = rlp(tmp_path, command, CARTPOLE, *mine)
    assert ran.returncode == 1
    trace, _, sentence = ran.stderr.partition("error: ")
    for line in ("arm.py", "line 12, in seen", 'return joints["elbow"]', "KeyError: 'elbow'"):
        assert line in trace
    assert "rl_platform" not in trace
    assert "environment 'arm:Arm' number 0, reset, field reset: raised KeyError: 'elbow'" in sentence


def test_a_module_that_does_not_compile_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "arm.py").write_text("class Arm(:\n")
    mine = ("--set=spec.environment.id=null", "--set=spec.environment.entrypoint='arm:Arm'")
    ran = rlp(tmp_path, "plan", CARTPOLE, *mine)
    assert ran.returncode == 2
    assert "environment.entrypoint 'arm:Arm': importing arm raised SyntaxError" in ran.stderr
    assert "(arm.py, line 1)" in ran.stderr
    assert "Traceback" not in ran.stderr
