"""Manifest files: a mark of byte order, and errors that only follow from others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rl_platform.spec import manifest_file
from rl_platform.spec.manifest import ManifestError, load_manifest, load_manifests, parse_manifests

TEXT = """\
apiVersion: rlplatform.io/v1alpha1
kind: TrainingJob
metadata: {name: a-job}
spec:
  environment: {id: CartPole-v1}
  algorithm: {ppo: {}}
  stop: {envSteps: 1000}
"""


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_manifests(file) == parse_manifests(TEXT) == [load_manifest(file)]


@pytest.mark.parametrize("wrong", ['{exact: "yes"}', "{exact: 3}", '{exact: true, everyUpdates: "20"}'])
def test_a_default_that_waits_for_a_wrong_field_is_no_error_of_its_own(wrong: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifests(f"{TEXT}  checkpoint: {wrong}\n", "job.yaml")
    assert [it.line for it in caught.value.problems] == [8]
    assert caught.value.problems[0].path in ("spec.checkpoint.exact", "spec.checkpoint.everyUpdates")


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_a_misplaced_field_is_guessed_to_belong_to_the_algorithm_that_is_used(algorithm: str) -> None:
    text = TEXT.replace("ppo", algorithm) + "  schedules: {learningRate: {}}\n  learningRate: 3e-4\n"
    with pytest.raises(ManifestError) as caught:
        parse_manifests(text, "job.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (9, "spec.learningRate")
    assert problem.hint == f"did you mean spec.algorithm.{algorithm}.learningRate?"


def test_an_override_without_a_value_removes_a_key_of_free_json(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(TEXT.replace("{id: CartPole-v1}", "{id: CartPole-v1, kwargs: {a: 1, b: 2}}"))
    assert load_manifest(file, ["spec.environment.kwargs.a="]).spec.environment.kwargs == {"b": 2}


def test_a_pipe_that_nobody_writes_to_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_file, "SILENT_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ManifestError, match=r"nothing came from it for 0.2 s; a manifest file is needed"):
        load_manifests(tmp_path / "pipe")


def test_a_pipe_that_is_written_to_is_a_manifest() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as stream:
        stream.write(TEXT)
        stream.close()
        assert load_manifests(f"/dev/fd/{reading}") == parse_manifests(TEXT)


def test_a_device_that_never_ends_is_refused_by_its_size() -> None:
    with pytest.raises(ManifestError, match="more than 1048576 bytes"):
        load_manifests("/dev/zero")
