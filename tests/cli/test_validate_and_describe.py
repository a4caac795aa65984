"""The commands that train nothing: validate, plan, algorithms, schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl_platform.algorithms import ALGORITHMS
from rl_platform.cli.algorithms import algorithms
from rl_platform.spec.crd import crd_yaml
from tests.cli.commands import CARTPOLE, EXAMPLES, rlp

FAULTY = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata:
  name: faulty
spec:
  environment:
    id: CartPole-v1
  algorithm:
    ppo:
      learningRat: 1e-3
      gamma: 1.5
  stop:
    envSteps: many
"""


def test_good_manifests_are_valid(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "validate", *sorted(EXAMPLES.glob("*.yaml")))
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == len(list(EXAMPLES.glob("*.yaml")))


def test_a_faulty_manifest_is_refused_with_every_problem_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "faulty.yaml").write_text(FAULTY)
    ran = rlp(tmp_path, "validate", "faulty.yaml", CARTPOLE)
    assert ran.returncode == 2
    assert "faulty.yaml:10" in ran.stderr
    assert "did you mean learningRate" in ran.stderr
    assert "faulty.yaml:11" in ran.stderr
    assert "spec.algorithm.ppo.gamma" in ran.stderr
    assert "faulty.yaml:13" in ran.stderr
    assert "spec.stop.envSteps" in ran.stderr
    assert "cartpole-ppo is valid" in ran.stdout, "the other manifest is looked at all the same"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_a_manifest_that_is_not_there_is_an_input_error(tmp_path: Path, command: str) -> None:
    ran = rlp(tmp_path, command, "nowhere.yaml")
    assert ran.returncode == 2
    assert "nowhere.yaml" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_plan_prints_the_operators_of_this_job(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "plan", CARTPOLE, "--set", "spec.algorithm.ppo.epochs=7")
    assert ran.returncode == 0, ran.stderr
    assert "train_one_step(7 epochs" in ran.stdout
    assert ran.stdout.index("rollouts") < ran.stdout.index("train_one_step") < ran.stdout.index("report")
    assert list(tmp_path.iterdir()) == [], "nothing was started"


def test_plan_refuses_an_environment_that_does_not_exist_by_name(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "plan", CARTPOLE, "--set", "spec.environment.id=CartPool-v1")
    assert ran.returncode == 2
    assert "CartPool-v1" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_algorithms_lists_every_one(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "algorithms")
    assert ran.returncode == 0, ran.stderr
    assert {line.split()[0] for line in ran.stdout.splitlines() if line} >= {*ALGORITHMS, "custom"}


@pytest.mark.parametrize(
    ("name", "field", "operator"),
    [
        ("ppo", "gaeLambda", "prepare(scale_rewards, gae)"),
        ("a2c", "fragmentLength", "train_one_step(each batch once)"),
        ("a3c", "publishEvery", "apply_gradients"),
        ("impala", "correction", "prepare(scale_rewards, vtrace)"),
        ("appo", "targetUpdateEvery", "update_target_network(every 8 updates)"),
        ("ddppo", "normalizeAdvantage", "prepare(scale_rewards, gae)"),
        ("dqn", "prioritizedReplay.correctionSteps", "store_to_replay"),
        ("apex", "exploration.exponent", "update_priorities"),
    ],
)
def test_an_algorithm_is_shown_with_its_fields_and_its_plan(
    capsys: pytest.CaptureFixture[str], name: str, field: str, operator: str
) -> None:
    assert algorithms(name) == 0
    said = capsys.readouterr().out
    assert field in said
    assert operator in said


def test_an_unknown_algorithm_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "algorithms", "pppo")
    assert ran.returncode == 2
    assert "did you mean ppo" in ran.stderr


def test_schema_is_the_definition_for_a_cluster_on_request(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "schema", "--crd")
    assert ran.returncode == 0
    assert ran.stdout == crd_yaml()


def test_schema_is_a_json_schema_of_a_training_job(tmp_path: Path) -> None:
    ran = rlp(tmp_path, "schema")
    assert ran.returncode == 0, ran.stderr
    schema = json.loads(ran.stdout)
    assert {"metadata", "spec"} <= set(schema["properties"])


@pytest.mark.parametrize(("option", "value", "least"), [("--seed", "-1", 0), ("--episodes", "1.5", 1)])
def test_a_number_that_cannot_be_one_is_named_with_its_option(
    tmp_path: Path, option: str, value: str, least: int
) -> None:
    ran = rlp(tmp_path, "evaluate", "x", option, value)
    assert ran.returncode == 2
    assert f"argument {option}: must be a whole number, at least {least}, got {value}" in ran.stderr


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run",), ("evaluate", "x", "--episodes", "0")])
def test_a_command_line_that_makes_no_sense_is_an_input_error(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = rlp(tmp_path, *arguments)
    assert ran.returncode == 2
    assert "usage: rlp" in ran.stderr
