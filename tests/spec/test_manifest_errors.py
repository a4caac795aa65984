"""Every mistake in a manifest is named with its line, its field, what was wrong and what would be right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rl_platform.spec.manifest import ManifestError, Problem, load_manifest, load_manifests, parse_manifests

MANIFEST = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata:
  name: a-job
spec:
  seed: 1
  environment:
    id: CartPole-v1
  rollouts:
    envsPerWorker: 8
  model:
    hidden: [64, 64]
    activation: tanh
  algorithm:
    ppo:
      learningRate: 1e-3
      batchSize: 1024
  policies:
    - name: red
      agents: ["red_*"]
    - name: blue
  stop:
    envSteps: 1e6
  checkpoint:
    everySeconds: 30
"""


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        parse_manifests(text, "job.yaml")
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    return list(caught.value.problems)


def changed(old: str, new: str) -> str:
    assert MANIFEST.count(old) == 1, old
    return MANIFEST.replace(old, new)


def test_the_manifest_that_the_mistakes_are_made_in_is_right() -> None:
    (job,) = parse_manifests(MANIFEST)
    assert (job.spec.seed, job.spec.stop.env_steps, job.spec.model.hidden) == (1, 1_000_000, (64, 64))


# What is replaced, by what; then line, path, words of the message, words of the hint.
MISTAKES: list[tuple[str, str, int, str, str, str]] = [
    # names
    (
        "learningRate",
        "learningRat",
        16,
        "spec.algorithm.ppo.learningRat",
        "known",
        "did you mean learningRate?",
    ),
    ("learningRate", "learning_rate", 16, "spec.algorithm.ppo.learning_rate", "known", "mean learningRate?"),
    ("seed: 1", "sed: 1", 6, "spec.sed", "known", "did you mean seed?"),
    ("seed: 1", "gamma: 1", 6, "spec.gamma", "known", "did you mean spec.algorithm.ppo.gamma?"),
    ("seed: 1", "zebra: 1", 6, "spec.zebra", "known", "environment"),
    ("seed: 1", "zebra:", 6, "spec.zebra", "known", "environment"),
    ("agents:", "agent:", 20, "spec.policies[0].agent", "known", "did you mean agents?"),
    ("apiVersion", "apiversion", 1, "apiVersion", "missing", "rlplatform.io/v1alpha1"),
    # types, as the API server tells them apart
    ("seed: 1", "seed: '3'", 6, "spec.seed", '"3"', "remove the quotes"),
    ("seed: 1", "seed: 1.5", 6, "spec.seed", "1.5", "whole number"),
    ("seed: 1", "seed: yes", 6, "spec.seed", "true", "whole number"),
    ("seed: 1", "seed: 1e400", 6, "spec.seed", "1e400", ""),
    ("1e-3", "'1e-3'", 16, "spec.algorithm.ppo.learningRate", '"1e-3"', "remove the quotes"),
    ("1e-3", "true", 16, "spec.algorithm.ppo.learningRate", "true", "number"),
    ("name: red", "name: 3", 19, "spec.policies[0].name", "3", "quotes"),
    ("[64, 64]", "64", 12, "spec.model.hidden", "64", "list"),
    ("[64, 64]", "[64, big]", 12, "spec.model.hidden[1]", '"big"', "whole number"),
    ("[64, 64]", "\n      - 64\n      - 6.4", 14, "spec.model.hidden[1]", "6.4", "whole number"),
    ("tanh", "[tanh]", 13, "spec.model.activation", "list", "tanh"),
    ("everySeconds: 30", "exact: 'true'", 25, "spec.checkpoint.exact", '"true"', "remove the quotes"),
    ("  seed: 1", "  seed: 1\n  driver: 3", 7, "spec.driver", "3", "map"),
    # numbers that are none
    ("1e-3", ".nan", 16, "spec.algorithm.ppo.learningRate", ".nan", "finite"),
    ("1e-3", "-.inf", 16, "spec.algorithm.ppo.learningRate", "-.inf", "finite"),
    # bounds
    ("seed: 1", "seed: -1", 6, "spec.seed", "-1", "at least 0"),
    ("seed: 1", "seed: 1e10", 6, "spec.seed", "10000000000", "at most 2147483647"),
    ("1e-3", "0", 16, "spec.algorithm.ppo.learningRate", "0", "greater than 0"),
    ("[64, 64]", "[64, 0]", 12, "spec.model.hidden[1]", "0", "at least 1"),
    ("[64, 64]", f"[{'8,' * 33}]", 12, "spec.model.hidden", "list of 33", "at most 32"),
    ('["red_*"]', "[]", 20, "spec.policies[0].agents", "list of 0", "at least 1"),
    ("a-job", "A_Job", 4, "metadata.name", '"A_Job"', "lower-case"),
    ("a-job", "a" * 51, 4, "metadata.name", "aaa", "at most 50"),
    ("a-job", "a-job\n  labels: {team: 'a b'}", 5, "metadata.labels.team", '"a b"', ""),
    ("envsPerWorker: 8", "resources: {memory: 8GB}", 10, "spec.rollouts.resources.memory", "8GB", "8Gi"),
    # one of several
    ("tanh", "tahn", 13, "spec.model.activation", '"tahn"', "did you mean tanh?"),
    ("tanh", "ReLU", 13, "spec.model.activation", '"ReLU"', "did you mean relu?"),
    ("tanh", "cosine", 13, "spec.model.activation", '"cosine"', "silu"),
    ("kind: TrainingJob", "kind: ConfigMap", 2, "kind", "ConfigMap", "TrainingJob"),
    ("v1alpha1", "v1", 1, "apiVersion", "rlplatform.io/v1", "v1alpha1"),
    # missing
    ("    id: CartPole-v1\n", "    kwargs: {}\n", 7, "spec.environment", "neither", "id: CartPole-v1"),
    ("kind: TrainingJob\n", "", 1, "kind", "missing", "TrainingJob"),
    ("  environment:\n    id: CartPole-v1\n", "", 5, "spec.environment", "missing", "acted in"),
    ("  stop:\n    envSteps: 1e6\n", "", 5, "spec.stop", "missing", "over"),
    ("    - name: blue", "    - trained: true", 21, "spec.policies[1].name", "missing", ""),
    # rules between fields
    ("  id: CartPole-v1", "  id: A\n    entrypoint: a:b", 7, "spec.environment", "both", "exactly one"),
    ("  id: CartPole-v1", "  id: A\n    kind: external", 7, "spec.environment", "not made here", "remove"),
    ("name: blue", "name: red", 21, "spec.policies[1].name", "'red' is given twice", "once"),
    ("algorithm:", "algorithm:\n    dqn: {}", 14, "spec.algorithm", "ppo and dqn", "exactly one"),
    ("envSteps: 1e6", "episodeReturn: 9", 22, "spec.stop", "nothing bounds", "envSteps"),
    ("everySeconds: 30", "exact: true", 24, "spec.checkpoint.everyUpdates", "exact", "20"),
    ("batchSize: 1024", "minibatchSize: 2048", 17, "spec.algorithm.ppo.minibatchSize", "2048", "batch"),
    ("envsPerWorker: 8", "envsPerWorker: 2000", 17, "spec.algorithm.ppo.batchSize", "2000", "fewer"),
    ("envsPerWorker: 8", "{replicas: 5, maxReplicas: 3}", 10, "spec.rollouts.replicas", "5", "at most 3"),
    # YAML itself
    ("seed: 1", "seed: 1\n  seed: 2", 7, "spec.seed", "twice, first in line 6", "one"),
    ("seed: 1", "seed: 1\n  model: {}", 12, "spec.model", "twice, first in line 7", "one"),
    ("[64, 64]", "[64, 64", 13, "", "not YAML", ""),
    ("seed: 1", "seed: 1\n\tmodel: 2", 7, "", "not YAML", ""),
    ("seed: 1", "seed: \x07", 6, "", "not YAML", ""),
    ("seed: 1", "seed: *one", 6, "", "one", ""),
    ("seed: 1", "seed: &a [*a]", 6, "spec.seed[0]", "itself", "anchor"),
    ("seed: 1", "seed: !!python/object:os.system 1", 6, "spec.seed", "tag", "remove the tag"),
    ("seed: 1", "seed: !mine 1", 6, "spec.seed", "tag", "remove the tag"),
    ("seed: 1", "yes: 1", 6, "spec", "yes", "quotes"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message", "hint"), MISTAKES, ids=[repr(case[1])[:50] for case in MISTAKES]
)
def test_a_mistake_is_named(old: str, new: str, line: int, path: str, message: str, hint: str) -> None:
    problem = problems_of(changed(old, new))[-1]
    assert (problem.file, problem.line, problem.path) == ("job.yaml", line, path), problem
    assert message in problem.message, problem
    assert hint in problem.hint, problem
    assert problem.hint, "it says nothing of what would be right"
    assert f"job.yaml:{line}" in str(problem)


def test_a_number_that_is_too_large_is_not_told_to_lose_quotes_it_never_had() -> None:
    (problem,) = problems_of(changed("seed: 1", "seed: 1e400"))
    assert "quotes" not in problem.hint


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file() -> None:
    text = MANIFEST.replace("seed: 1", "sed: 1").replace("tanh", "tahn").replace("1e-3", "'1e-3'")
    text = text.replace("name: blue", "name: Blue").replace("envSteps: 1e6", "episodeReturn: 9")
    found = [(problem.line, problem.path) for problem in problems_of(text)]
    assert found == [
        (6, "spec.sed"),
        (13, "spec.model.activation"),
        (16, "spec.algorithm.ppo.learningRate"),
        (21, "spec.policies[1].name"),
        (22, "spec.stop"),
    ]


def test_mistakes_of_every_document_of_a_file_are_named() -> None:
    text = f"{changed('seed: 1', 'sed: 1')}---\n{changed('tanh', 'tahn')}"
    found = [(problem.line, problem.path) for problem in problems_of(text)]
    assert found == [(6, "spec.sed"), (39, "spec.model.activation")]


def test_a_document_of_another_kind_is_refused_by_its_name() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {}\n"
    found = problems_of(f"{MANIFEST}---\n{config}")
    assert {problem.path for problem in found} == {"apiVersion", "kind"}
    assert [problem.line for problem in found] == [27, 28]
    assert "ConfigMap" in found[1].message


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "null\n", "---\n...\n"])
def test_a_file_that_holds_nothing_is_refused(text: str) -> None:
    (problem,) = problems_of(text)
    assert "TrainingJob" in problem.hint


@pytest.mark.parametrize("text", ["3\n", "[]\n", "some words\n", "- kind: TrainingJob\n"])
def test_a_document_that_is_no_map_is_refused(text: str) -> None:
    (problem,) = problems_of(text)
    assert problem.line == 1
    assert "map" in problem.message


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
MERGE_BOMB = "a0: &a0 {x: 1, z: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    "text",
    [BOMB, MERGE_BOMB, "[" * 20_000, "{a: " * 20_000, "- " * 20_000, f"[{'1,' * 100_001}]"],
    ids=["aliases", "merges", "lists", "maps", "block lists", "length"],
)
def test_a_hostile_document_is_refused_quickly(text: str) -> None:
    assert len(problems_of(text)) == 1


def test_a_mistake_behind_an_anchor_is_not_named_thousands_of_times() -> None:
    assert len(problems_of(MERGE_BOMB.replace("z:", "y:"))) <= 100


def test_free_json_is_bounded() -> None:
    kwargs = f"kwargs: {{a: {'[' * 40}{']' * 40}}}"
    (problem,) = problems_of(changed("id: CartPole-v1", f"id: CartPole-v1\n    {kwargs}"))
    assert (problem.line, problem.path) == (9, "spec.environment.kwargs")
    assert "32 levels" in problem.hint


@pytest.mark.parametrize("load", [load_manifest, load_manifests])
class TestFilesThatCannotBeRead:
    def problem(self, load: object, path: Path) -> Problem:
        with pytest.raises(ManifestError) as caught:
            load(path)  # type: ignore[operator]
        (problem,) = caught.value.problems
        assert problem.file == str(path)
        assert problem.hint
        return problem

    def test_a_missing_file(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "cartpole.yaml").write_text(MANIFEST)
        problem = self.problem(load, tmp_path / "cartpol.yaml")
        assert "exist" in problem.message
        assert str(tmp_path / "cartpole.yaml") in problem.hint

    def test_a_missing_folder(self, load: object, tmp_path: Path) -> None:
        assert "exist" in self.problem(load, tmp_path / "nowhere" / "job.yaml").message

    def test_a_directory(self, load: object, tmp_path: Path) -> None:
        assert "directory" in self.problem(load, tmp_path).message

    def test_an_empty_file(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").touch()
        assert "nothing" in self.problem(load, tmp_path / "job.yaml").message

    def test_a_file_that_is_not_utf_8(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").write_bytes(b"# comment\nname: caf\xe9\n")
        problem = self.problem(load, tmp_path / "job.yaml")
        assert problem.line == 2
        assert "UTF-8" in problem.message

    def test_a_binary_file(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").write_bytes(bytes(range(128)) * 4)
        self.problem(load, tmp_path / "job.yaml")

    def test_a_file_that_is_too_large(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").write_text("# \n" * 400_000)
        assert "more than" in self.problem(load, tmp_path / "job.yaml").message

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_without_permission(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").write_text(MANIFEST)
        (tmp_path / "job.yaml").chmod(0)
        assert "read" in self.problem(load, tmp_path / "job.yaml").message

    def test_a_path_that_runs_through_a_file(self, load: object, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").write_text(MANIFEST)
        self.problem(load, tmp_path / "job.yaml" / "job.yaml")


def test_one_job_is_needed_where_one_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(f"{MANIFEST}---\n{MANIFEST}")
    with pytest.raises(ManifestError, match="holds 2 documents"):
        load_manifest(file)
