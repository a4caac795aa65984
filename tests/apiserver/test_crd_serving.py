"""What people meet: examples are taken as they are, kubectl explain and get have their words, and status."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from rl_platform.spec.crd import custom_resource_definition
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.manifest import load_manifest
from rl_platform.spec.training_job import TrainingJob
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.training_jobs import TrainingJobs, job_of
from tests.spec.change_cases import SPEC
from tests.spec.rule_case import spec_with

EXAMPLES = sorted((Path(__file__).parents[2] / "helm" / "examples").rglob("*.yaml"))
NOON = "2026-01-02T12:00:00Z"
STATUS = {
    "phase": "Training",
    "observedGeneration": 1,
    "attempt": 2,
    "progress": {"envSteps": 2048, "episodeReturnMean": 21.5},
    "checkpoint": {"uri": "file:///runs/a/1", "envSteps": 1024},
    "model": {"name": "a", "version": "3", "uri": "models:/a/3"},
    "conditions": [{"type": "Training", "status": "True", "reason": "Running", "lastTransitionTime": NOON}],
}


@pytest.fixture(scope="module")
def jobs(api_server: ControlPlane) -> TrainingJobs:
    TrainingJobs.install(api_server)
    namespace = f"test-{uuid4().hex[:12]}"
    api_server.create_namespace(namespace)
    return TrainingJobs(api_server, namespace)


@pytest.mark.parametrize("file", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_an_example_is_accepted_as_it_is(jobs: TrainingJobs, file: Path) -> None:
    answer = jobs.try_out(file.read_text())
    assert answer.accepted, answer.message
    read = TrainingJob.model_validate(answer.document, by_alias=True, by_name=False)
    assert read.spec == load_manifest(file).spec
    assert spec_digest(read.spec) == spec_digest(load_manifest(file).spec)


def test_the_server_has_no_complaint_about_the_definition(
    jobs: TrainingJobs, api_server: ControlPlane
) -> None:
    """Warnings come with the answer, conditions afterwards."""
    name = custom_resource_definition()["metadata"]["name"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    _, definition = api_server.request("GET", path)
    conditions = {it["type"]: it["status"] for it in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert definition["spec"]["versions"] == custom_resource_definition()["spec"]["versions"]


def test_kubectl_explain_has_the_words_of_the_models(jobs: TrainingJobs) -> None:
    document = jobs.send("GET", "/openapi/v3/apis/rlplatform.io/v1alpha1").document
    node = document["components"]["schemas"]["io.rlplatform.v1alpha1.TrainingJob"]
    for name in ("spec", "algorithm", "ppo", "clipRange"):
        node = node["properties"][name]
    assert node["description"] == "How far the probability ratio may move; may be scheduled."
    assert (node["type"], node["default"], node["format"]) == ("number", 0.2, "double")


def test_kubectl_get_shows_state_steps_return_checkpoint_age(jobs: TrainingJobs) -> None:
    made = jobs.create(job_of("shown", spec_with({"scheduling": {"queue": "team-a"}})))
    assert made.accepted, made.message
    status = jobs.merge("shown", {"status": STATUS}, "/status")
    assert status.accepted, status.message
    table = jobs.table()
    columns = {it["name"]: it["priority"] for it in table["columnDefinitions"]}
    assert [name for name, priority in columns.items() if not priority] == [
        *("Name", "State", "Steps", "Return", "Checkpoint", "Age")
    ]
    row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert (row["State"], row["Steps"], row["Return"], row["Checkpoint"]) == ("Training", 2048, 21.5, 1024)
    assert (row["Model"], row["Queue"], row["Attempt"]) == ("models:/a/3", "team-a", 2)


def test_status_is_written_apart_and_filled_with_defaults(jobs: TrainingJobs) -> None:
    made = jobs.create({**job_of("apart", spec_with({})), "status": STATUS})
    assert "status" not in made.document
    written = jobs.merge("apart", {"spec": {"seed": 9}, "status": STATUS}, "/status").document
    assert written["spec"]["seed"] == 0
    assert written["metadata"]["generation"] == 1
    read = TrainingJob.model_validate(written, by_alias=True, by_name=False)
    assert read.status is not None
    assert written["status"] == json.loads(read.status.model_dump_json(exclude_none=True))
    assert written["status"]["failures"] == {"application": 0, "infrastructure": 0}


def test_a_status_that_no_reader_would_take_is_refused(jobs: TrainingJobs) -> None:
    jobs.create(job_of("refused", spec_with({})))
    for wrong, path in (
        ({"phase": "Dancing"}, "status.phase"),
        ({"attempt": -1}, "status.attempt"),
        ({"conditions": [STATUS["conditions"][0]] * 2}, "status.conditions[1]"),  # type: ignore[index]
        ({"traceback": "a" * 2049}, "status.traceback"),
    ):
        answer = jobs.merge("refused", {"status": wrong}, "/status")
        assert (answer.code, answer.paths) == (422, [path]), answer.message


def test_names_leave_room_for_those_of_children(jobs: TrainingJobs) -> None:
    for metadata, accepted in (
        ({"name": "a" * 50}, True),
        ({"name": "a" * 51}, False),
        ({"name": "a.b"}, False),
        ({"generateName": "a" * 45}, True),
        ({"generateName": "a" * 46}, False),
    ):
        document = {**job_of("", spec_with({})), "metadata": metadata}
        answer = jobs.try_out(json.dumps(document))
        assert answer.accepted is accepted, (metadata, answer.message)
        if accepted:
            TrainingJob.model_validate(answer.document, by_alias=True, by_name=False)


def test_an_unknown_field_is_named(jobs: TrainingJobs) -> None:
    for section in ("seeds", "podOverrides"):
        answer = jobs.try_out(json.dumps(job_of("a-job", {**SPEC, section: {}})))
        assert (answer.code, answer.paths) == (400, [f"spec.{section}"])
