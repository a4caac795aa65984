"""What `train` takes for a job: the model, a manifest's path, or its content; anything else is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rl_platform.driver.train import train
from rl_platform.spec.manifest import ManifestError, as_job
from rl_platform.spec.training_job import TrainingJob

JOB: dict[str, Any] = {
    "apiVersion": "rlplatform.io/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "small"},
    "spec": {
        "environment": {"id": "CartPole-v1"},
        "algorithm": {"ppo": {"batchSize": 64, "minibatchSize": 32}},
        "rollouts": {"envsPerWorker": 2},
        "stop": {"envSteps": 128},
        "evaluation": {"episodes": 0},
        "tracking": {"enabled": False},
    },
}


def test_a_dict_is_trained(tmp_path: Path) -> None:
    assert train(JOB, tmp_path / "run").env_steps == 128


def test_a_path_and_a_model_are_the_same_job(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(JOB))
    job = as_job(JOB)
    assert isinstance(job, TrainingJob)
    assert as_job(path) == as_job(str(path)) == as_job(job) == job


@pytest.mark.parametrize("wrong", [None, 3, [JOB], TrainingJob])
def test_anything_else_is_a_type_error_that_says_what_a_job_is(wrong: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="TrainingJob, the path of a manifest, or its content as a dict; got"):
        train(wrong, tmp_path / "run")


def test_a_dict_with_mistakes_names_all_of_them(tmp_path: Path) -> None:
    spec = {**JOB["spec"], "sed": 3, "environment": {"id": 7}}
    with pytest.raises(ManifestError) as caught:
        train({**JOB, "spec": spec}, tmp_path / "run")
    assert {problem.path for problem in caught.value.problems} == {"spec.sed", "spec.environment.id"}
    assert all(problem.line is None and problem.file == "job" for problem in caught.value.problems)
    assert not (tmp_path / "run").exists()


def test_a_way_of_taking_the_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="taking is 'again'; expected one of new, overwrite, resume"):
        train(JOB, tmp_path / "run", taking="again")  # type: ignore[arg-type]
