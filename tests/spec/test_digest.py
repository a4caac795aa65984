"""The digest changes with every field that may not change, and with nothing else."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given

from rl_platform.spec.digest import spec_digest
from rl_platform.spec.manifest import dump_manifest, parse_manifests
from rl_platform.spec.mutability import EVERY, MUTABLE, immutable_fields
from rl_platform.spec.training_job import TrainingJob, TrainingJobSpec
from tests.spec.change_cases import (
    ACCEPTED,
    REFUSED,
    SPEC,
    WHO_SAMPLES_CHANGES,
    WHO_SAMPLES_STAYS,
    Change,
    changed,
)
from tests.spec.jobs import JOBS, Document
from tests.spec.rule_case import Spec, spec_with
from tests.spec.test_manifest_round_trip import SETTINGS

CHANGES = list(itertools.chain.from_iterable(REFUSED.values()))


def digest(spec: dict[str, Any]) -> str:
    return spec_digest(TrainingJobSpec.model_validate(spec))


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_change_of_what_is_immutable_shows(change: Change) -> None:
    assert digest(changed(change)) != digest(SPEC)


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_a_change_of_what_is_mutable_does_not(change: Change) -> None:
    assert digest(changed(change)) == digest(SPEC)


@pytest.mark.parametrize(("before", "after"), WHO_SAMPLES_CHANGES + WHO_SAMPLES_STAYS, ids=str)
def test_how_many_pods_sample_does_not_show_but_whether_any_do(before: Spec, after: Spec) -> None:
    same = digest(spec_with({"rollouts": before})) == digest(spec_with({"rollouts": after}))
    assert same == ((before, after) in WHO_SAMPLES_STAYS)


def test_the_cases_cover_every_field() -> None:
    assert REFUSED.keys() == {path for path, _ in immutable_fields()}
    assert min(len(changes) for changes in REFUSED.values()) >= 2
    changing = {path for path, _ in ACCEPTED}
    for section, fields in MUTABLE.items():
        assert fields == EVERY or {f"{section}.{field}" for field in fields} <= changing
    assert TrainingJobSpec.model_validate(SPEC).model_fields_set == set(TrainingJobSpec.model_fields)


def test_it_looks_the_same_for_ever() -> None:
    """It stays in status over versions of the operator: a new field with a default must not alter it."""
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest(SPEC))
    small = {"environment": {"id": "CartPole-v1"}, "algorithm": {"ppo": {}}, "stop": {"envSteps": 1000}}
    assert digest(small) == "sha256:46ce538a2691293c941b1d199ab26253fc015e03372809acd7560e4f15bf958d"


def test_numbers_count_by_value() -> None:
    """The API server writes 1.0 as 1, in free JSON too."""
    for value in (1, 1.0):
        environment = {"id": "CartPole-v1", "kwargs": {"a": value, "b": [value], "c": {"d": value}}}
        assert digest({**SPEC, "environment": environment}) == digest(
            {**SPEC, "environment": {"id": "CartPole-v1", "kwargs": {"a": 1, "b": [1], "c": {"d": 1}}}}
        )
    assert digest({**SPEC, "environment": {"id": "a", "kwargs": {"a": True}}}) != digest(
        {**SPEC, "environment": {"id": "a", "kwargs": {"a": 1}}}
    )


@SETTINGS
@given(JOBS)
def test_writing_defaults_out_changes_nothing(document: Document) -> None:
    job = TrainingJob.model_validate(document)
    (again,) = parse_manifests(dump_manifest(job, effective=True))
    assert spec_digest(again.spec) == spec_digest(job.spec)
