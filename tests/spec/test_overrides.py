"""``--set FIELD=VALUE`` changes a manifest before it is validated, and is named where it is at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rl_platform.spec.manifest import ManifestError, Problem, load_manifest
from rl_platform.spec.training_job import TrainingJob

MANIFEST = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: a-job}
spec:
  environment: {id: CartPole-v1}
  model: {hidden: [64, 64]}
  algorithm: {ppo: {learningRate: 1e-3}}
  policies:
    - {name: red, agents: ["red_*"]}
    - {name: blue}
  stop: {envSteps: 1000}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(MANIFEST)
    return path


def value_of(job: TrainingJob, path: str) -> Any:
    here: Any = job
    for part in path.split("."):
        here = (
            here[int(part)]
            if part.isdigit()
            else here[part]
            if isinstance(here, dict)
            else getattr(here, part)
        )
    return here


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("spec.seed=3", "spec.seed", 3),
        ("spec.seed = 3 ", "spec.seed", 3),
        ("spec.seed=0x10", "spec.seed", 16),
        ("spec.stop.envSteps=1e6", "spec.stop.env_steps", 1_000_000),
        ("spec.algorithm.ppo.learningRate=3e-4", "spec.algorithm.ppo.learning_rate", 3e-4),
        ("spec.algorithm.ppo.normalizeAdvantage=false", "spec.algorithm.ppo.normalize_advantage", False),
        ("spec.algorithm.ppo.targetKl=0.02", "spec.algorithm.ppo.target_kl", 0.02),
        ("spec.model.hidden=[32, 16]", "spec.model.hidden", (32, 16)),
        ("spec.model.hidden[1]=32", "spec.model.hidden", (64, 32)),
        ("spec.policies[1].trained=no", "spec.policies.1.trained", False),
        (
            "spec.schedules.learningRate={kind: linear, final: 1e-5}",
            "spec.schedules.learning_rate.final",
            1e-5,
        ),
        ("spec.environment.kwargs.a.b=x=y", "spec.environment.kwargs", {"a": {"b": "x=y"}}),
        ("spec.environment.kwargs.text='3'", "spec.environment.kwargs.text", "3"),
        ('metadata.labels["example.com/a=b"]=x', "metadata.labels", {"example.com/a=b": "x"}),
        ("spec.policies=", "spec.policies", ()),
        ("spec.algorithm.ppo.learningRate=null", "spec.algorithm.ppo.learning_rate", 3e-4),
    ],
)
def test_an_override_sets_a_field(file: Path, override: str, path: str, value: Any) -> None:
    assert value_of(load_manifest(file, [override]), path) == value


def test_overrides_are_applied_from_left_to_right(file: Path) -> None:
    overrides = ["spec.seed=3", "spec.model.hidden=[8, 8]", "spec.model.hidden[0]=4", "spec.seed=5"]
    job = load_manifest(file, overrides)
    assert (job.spec.seed, job.spec.model.hidden) == (5, (4, 8))


def test_an_algorithm_can_be_exchanged(file: Path) -> None:
    job = load_manifest(file, ["spec.algorithm={dqn: {}}", "spec.algorithm.dqn.nStep=3"])
    name, config = job.spec.algorithm.selected
    assert name == "dqn"
    assert config.n_step == 3  # type: ignore[union-attr]


def test_an_override_mends_what_is_wrong_in_the_file(file: Path) -> None:
    file.write_text(MANIFEST.replace("envSteps: 1000", "envSteps: many"))
    assert load_manifest(file, ["spec.stop.envSteps=5"]).spec.stop.env_steps == 5


def test_an_override_reaches_one_place_of_an_anchor_only(file: Path) -> None:
    file.write_text(f"{MANIFEST}  learner: {{resources: &r {{cpu: 2}}}}\n  driver: {{resources: *r}}\n")
    spec = load_manifest(file, ["spec.driver.resources.cpu=4"]).spec
    assert (spec.learner.resources.cpu, spec.driver.resources.cpu) == ("2", "4")


def problems_of(file: Path, *overrides: str) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        load_manifest(file, overrides)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("override", "path", "message", "hint"),
    [
        ("spec.sed=3", "spec.sed", "known", "did you mean seed?"),
        ("seed=3", "seed", "known", "did you mean spec.seed?"),
        ("spec.seed='3'", "spec.seed", '"3"', "remove the quotes"),
        ("spec.seed=1 2", "spec.seed", '"1 2"', "whole number"),
        ("spec.model.activation=tahn", "spec.model.activation", "tahn", "tanh"),
        ("spec.model.hidden=[1, x]", "spec.model.hidden[1]", '"x"', "whole number"),
        ("spec.model={hiden: []}", "spec.model.hiden", "known", "did you mean hidden?"),
        ("spec.algorithm.ppo.minibatchSize=4096", "spec.algorithm.ppo.minibatchSize", "4096", "batch"),
        ("spec.stop=", "spec.stop", "missing", ""),
        ("kind=ConfigMap", "kind", "ConfigMap", "TrainingJob"),
        ("spec.policies[2].name=x", "spec.policies", "no item 2", "0"),
        ("spec.policies.name=x", "spec.policies", "list", "[0]"),
        ("spec.seed[0]=3", "spec.seed", "", ""),
        ("spec.environment[0]=3", "spec.environment", "not a list", ""),
        ("spec.environment.id.x=3", "spec.environment.id", "CartPole-v1", ""),
        ("spec.seed", "spec.seed", "no value", "FIELD=VALUE"),
        ("=3", "", "names no field", "FIELD=VALUE"),
        ("", "", "no value", "FIELD=VALUE"),
        ("spec..seed=3", "spec..seed", "path", "such as"),
        ("spec.model.hidden[x]=3", "spec.model.hidden[x]", "path", "such as"),
        ("spec.seed=[1", "spec.seed", "not YAML", ""),
        ("spec.seed=.nan", "spec.seed", "finite", ""),
        ("spec.seed=1\n---\n2", "spec.seed", "several", "one"),
    ],
)
def test_an_override_at_fault_is_named(file: Path, override: str, path: str, message: str, hint: str) -> None:
    (problem,) = problems_of(file, override)
    assert (problem.file, problem.line, problem.path) == (f"--set {override}", None, path), problem
    assert message in problem.message, problem
    assert hint in problem.hint, problem
    assert str(problem).startswith(f"--set {override}: ")


def test_a_number_is_not_told_to_take_an_index(file: Path) -> None:
    file.write_text(MANIFEST.replace("spec:\n", "spec:\n  seed: 1\n"))
    (problem,) = problems_of(file, "spec.seed.x=3")
    assert problem.path == "spec.seed"
    assert "list" not in problem.hint


def test_faults_of_file_and_overrides_are_named_together(file: Path) -> None:
    file.write_text(MANIFEST.replace("hidden", "hiden"))
    found = {
        (problem.file, problem.path) for problem in problems_of(file, "spec.sed=3", "oops", "spec.seed=-1")
    }
    assert found == {
        (str(file), "spec.model.hiden"),
        ("--set spec.sed=3", "spec.sed"),
        ("--set oops", "oops"),
        ("--set spec.seed=-1", "spec.seed"),
    }


def test_the_last_override_of_a_field_is_the_one_that_is_named(file: Path) -> None:
    (problem,) = problems_of(file, "spec.seed=3", "spec.seed=-1")
    assert problem.file == "--set spec.seed=-1"


def test_a_rule_that_an_override_breaks_for_another_field_still_names_the_field(file: Path) -> None:
    (problem,) = problems_of(file, "spec.policies[0].trained=false", "spec.policies[1].trained=false")
    assert problem.path == "spec.policies"
