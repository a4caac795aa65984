"""A job that is written out and read again is the same job, whatever its texts and numbers look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings

from rl_platform.spec.manifest import dump_manifest, load_manifest, load_manifests, parse_manifests
from rl_platform.spec.training_job import TrainingJob
from tests.spec.jobs import JOBS, Document

# A failure is told field by field, so shrinking (minutes, for documents of this size) would add nothing.
SETTINGS = settings(
    max_examples=80,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def minimal(**spec: Any) -> TrainingJob:
    fields = {"environment": {"id": "CartPole-v1"}, "algorithm": {"ppo": {}}, "stop": {"envSteps": 1000}}
    return TrainingJob.model_validate({"metadata": {"name": "a-job"}, "spec": fields | spec})


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Every value with its type (1 == 1.0 == True). Whole floats are integers once they went through JSON."""
    if isinstance(value, dict):
        yield f"{path}: map of {sorted(value)}"
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        yield f"{path}: list of {len(value)}"
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        yield f"{path}: {int(value)!r}"
    else:
        yield f"{path}: {value!r}"


def same(left: TrainingJob, right: TrainingJob) -> None:
    assert list(leaves(left.model_dump(mode="json"))) == list(leaves(right.model_dump(mode="json")))
    assert left == right


@SETTINGS
@given(JOBS)
def test_an_effective_manifest_loads_to_the_same_job(document: Document) -> None:
    job = TrainingJob.model_validate(document)
    (again,) = parse_manifests(dump_manifest(job))
    same(again, job)


@SETTINGS
@given(JOBS)
def test_a_manifest_without_defaults_loads_to_the_same_job(document: Document) -> None:
    job = TrainingJob.model_validate(document)
    (again,) = parse_manifests(dump_manifest(job, effective=False))
    same(again, job)


@SETTINGS
@given(JOBS)
def test_json_is_a_manifest_too(document: Document) -> None:
    (job,) = parse_manifests(json.dumps(document))
    same(job, TrainingJob.model_validate(document))


def texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for key, item in value.items() for text in {key, *texts(item)}}
    if isinstance(value, list | tuple):
        return {text for item in value for text in texts(item)}
    return {value} if isinstance(value, str) else set()


@SETTINGS
@given(JOBS)
def test_readers_of_yaml_1_1_find_every_text_as_text(document: Document) -> None:
    job = TrainingJob.model_validate(document)
    document = yaml.safe_load(dump_manifest(job))
    assert texts(job.spec.model_dump(mode="json", exclude_none=True)) == texts(document["spec"])
    assert texts(job.metadata.model_dump(mode="json", exclude_defaults=True)) == texts(document["metadata"])


def test_every_default_is_written_out() -> None:
    text = dump_manifest(minimal())
    for line in (
        "learningRate: 0.0003",
        "envsPerWorker: 8",
        "everySeconds: 60.0",
        "alias: champion",
        "seed: 0",
    ):
        assert line in text, text


def test_only_what_was_given_is_written_out_on_request() -> None:
    spec = yaml.safe_load(dump_manifest(minimal(seed=3), effective=False))["spec"]
    assert spec == {
        "environment": {"id": "CartPole-v1"},
        "algorithm": {"ppo": {}},
        "stop": {"envSteps": 1000},
        "seed": 3,
    }


def test_absent_fields_are_not_written_and_nulls_of_free_json_are() -> None:
    environment = {"id": "CartPole-v1", "kwargs": {"render_mode": None}}
    text = dump_manifest(minimal(environment=environment))
    assert yaml.safe_load(text)["spec"]["environment"]["kwargs"] == {"render_mode": None}
    assert text.count("null") == 1


def test_a_field_that_is_null_has_its_default() -> None:
    (job,) = parse_manifests(dump_manifest(minimal()).replace("seed: 0", "seed: null"))
    assert job.spec.seed == 0


def test_several_jobs_are_read_from_one_file_in_order(tmp_path: Path) -> None:
    first = dump_manifest(minimal())
    file = tmp_path / "jobs.yaml"
    file.write_text(f"# two jobs\n---\n{first}---\n---\n{first.replace('a-job', 'b-job')}...\n")
    assert [job.name for job in load_manifests(file)] == ["a-job", "b-job"]


def test_a_byte_order_mark_and_windows_line_ends_are_read_over(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + dump_manifest(minimal()).replace("\n", "\r\n").encode())
    assert load_manifest(file) == minimal()


def test_anchors_and_merges_are_expanded() -> None:
    text = dump_manifest(minimal(), effective=False) + (
        "  learner: {resources: &small {cpu: 2, memory: 4Gi}}\n"
        "  driver: {resources: {<<: *small, memory: 8Gi}}\n"
        "  rollouts: {resources: *small}\n"
    )
    (job,) = parse_manifests(text)
    sizes = [
        (it.resources.cpu, it.resources.memory)
        for it in (job.spec.learner, job.spec.driver, job.spec.rollouts)
    ]
    assert sizes == [("2", "4Gi"), ("2", "8Gi"), ("2", "4Gi")]
