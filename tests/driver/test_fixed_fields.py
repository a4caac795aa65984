"""A run goes on as what it was: what would make another one of it is refused, and nothing is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.result import Result
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.driver_protocol import ExitCode

CHANGES = {
    "seed": {"seed": 9},
    "environment.id": {"environment": {"id": "Acrobot-v1"}},
    "environment.kwargs": {"environment": {"id": "CartPole-v1", "kwargs": {"sutton_barto_reward": True}}},
    "model.activation": {"model": {"hidden": [8], "activation": "relu"}},
    "rollouts.envsPerWorker": {"rollouts": {"envsPerWorker": 4}},
}


def job(**changed: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "seed": 1,
        "environment": {"id": "CartPole-v1"},
        "model": {"hidden": [8]},
        "rollouts": {"envsPerWorker": 8},
        "algorithm": {"ppo": {"batchSize": 64, "minibatchSize": 32}},
        "stop": {"envSteps": 512},
        "evaluation": {"episodes": 0},
        "tracking": {"enabled": False},
    }
    kind = {"apiVersion": "rlplatform.io/v1alpha1", "kind": "TrainingJob"}
    return {**kind, "metadata": {"name": "fixed"}, "spec": spec | changed}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(job(stop={"envSteps": 256}), tmp_path_factory.mktemp("made") / "run")


@pytest.mark.parametrize("field", list(CHANGES))
def test_what_would_make_another_run_of_it_is_refused(field: str, made: Result) -> None:
    folder = Path(str(made.folder))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(TrainingFailed, match=rf"spec\.{field} was .* and is .*restoreFrom") as refused:
        train(job(**CHANGES[field]), folder, taking="resume")
    assert refused.value.result.exit_code is ExitCode.BAD_CONFIGURATION
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_settings_of_the_algorithm_and_of_stopping_may_change(made: Result) -> None:
    changed = {"ppo": {"batchSize": 64, "minibatchSize": 32, "learningRate": 1e-4}}
    again = train(job(algorithm=changed), made.folder, taking="resume")
    assert (again.state, again.env_steps) == ("Succeeded", 512)
