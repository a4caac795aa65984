"""The example manifests load, say what their names promise, and use the documented spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.spec.algorithms import DQN, PPO
from rl_platform.spec.manifest import load_manifest

EXAMPLES = Path(__file__).parents[2] / "helm" / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def test_the_documented_examples_are_there() -> None:
    names = {file.stem for file in FILES}
    assert names >= {"cartpole-ppo", "cartpole-dqn", "pendulum-ppo", "cartpole-lstm"}


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_an_example_loads_and_is_named_like_its_file(file: Path) -> None:
    job = load_manifest(file)
    assert job.name == file.stem
    assert job.spec.checkpoint.exact, "examples resume bit for bit"
    assert job.spec.stop.env_steps is not None


def test_examples_choose_what_they_show() -> None:
    jobs = {file.stem: load_manifest(file).spec for file in FILES}
    assert isinstance(jobs["cartpole-ppo"].algorithm.selected[1], PPO)
    assert isinstance(jobs["cartpole-dqn"].algorithm.selected[1], DQN)
    assert jobs["pendulum-ppo"].environment.id == "Pendulum-v1"
    lstm = jobs["cartpole-lstm"]
    assert lstm.model.recurrent.kind == "lstm"
    assert [wrapper.kwargs for wrapper in lstm.environment.wrappers] == [{"indices": [0, 2]}]
