"""Models, emitted schema and a real API server say the same of thousands of manifests, as YAML text."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import local
from typing import Any, NamedTuple

import pytest

from rl_platform.spec.crd import object_schema
from rl_platform.spec.manifest import ManifestError, dump_manifest, parse_manifests
from rl_platform.spec.running import CHECKPOINT_SECONDS
from rl_platform.spec.training_job import TrainingJob
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.training_jobs import Answer, TrainingJobs, job_of
from tests.spec.generated_specs import BadSpec, Spec, bad_specs, good_specs
from tests.spec.spelled_yaml import spelled
from tests.spec.structural_validation import defaulted, refusals
from tests.spec.test_manifest_round_trip import leaves

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a minute and a half on two free cores

NUMBER = 2000
SEED = 4
CONNECTIONS = 4
SCHEMA = object_schema()
SPEC_SCHEMA = SCHEMA["properties"]["spec"]


@pytest.fixture(scope="module")
def ask(api_server: ControlPlane) -> Iterator[Callable[[Sequence[str]], list[Answer]]]:
    """What the server would do with each of many manifests, over some connections at a time."""
    TrainingJobs.install(api_server)
    mine = local()

    def one(manifest: str) -> Answer:
        if not hasattr(mine, "jobs"):
            mine.jobs = TrainingJobs(api_server)
        answer: Answer = mine.jobs.try_out(manifest)
        return answer

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        yield lambda manifests: list(pool.map(one, manifests))


@pytest.fixture(scope="module")
def good() -> list[Spec]:
    return good_specs(NUMBER, SEED)


class Opinions(NamedTuple):
    """Of the models and of the schema: what is wrong, and where."""

    job: TrainingJob | None
    models_refuse: list[str]
    schema_refuses: list[str]


def opinions(text: str, spec: Spec) -> Opinions:
    refused = list(refusals(SPEC_SCHEMA, defaulted(SPEC_SCHEMA, spec), "spec"))
    try:
        (job,) = parse_manifests(text)
    except ManifestError as error:
        return Opinions(None, [it.path for it in error.problems], refused)
    return Opinions(job, [], refused)


def manifest(number: int, spec: Spec) -> str:
    return spelled(job_of(f"job-{number}", spec), Random(number))


def test_what_is_good_is_accepted_whole_and_with_the_same_defaults(
    ask: Callable[[Sequence[str]], list[Answer]], good: list[Spec]
) -> None:
    texts = [manifest(number, spec) for number, spec in enumerate(good)]
    assert len(texts) == NUMBER
    for text, spec, answer in zip(texts, good, ask(texts), strict=True):
        job, models_refuse, schema_refuses = opinions(text, spec)
        assert job is not None, (models_refuse, text)
        assert schema_refuses == [], text
        assert answer.accepted, (answer.message, text)
        stored = answer.document["spec"]
        assert values(stored) == values(defaulted(SPEC_SCHEMA, spec)), "pruned, or other defaults"
        assert values(as_read(stored)) == values(effective(job))
        again = TrainingJob.model_validate(answer.document, by_alias=True, by_name=False)
        assert values(effective(again)) == values(effective(job))


def test_what_is_written_out_is_accepted_and_stored_as_it_is(
    ask: Callable[[Sequence[str]], list[Answer]], good: list[Spec]
) -> None:
    jobs = [parse_manifests(manifest(number, spec))[0] for number, spec in enumerate(good[:: NUMBER // 200])]
    for job, answer in zip(jobs, ask([dump_manifest(job) for job in jobs]), strict=True):
        assert answer.accepted, answer.message
        assert values(answer.document["spec"]) == values(effective(job))


def test_what_is_bad_is_refused_by_all_three_at_its_field(
    ask: Callable[[Sequence[str]], list[Answer]], good: list[Spec]
) -> None:
    bad = list(bad_specs(good, SEED))
    texts = [manifest(number, it.spec) for number, it in enumerate(bad)]
    for text, it, answer in zip(texts, bad, ask(texts), strict=True):
        job, models_refuse, schema_refuses = opinions(text, it.spec)
        assert job is None, it
        assert names(models_refuse, it), (it.path, it.what, models_refuse)
        assert not answer.accepted, (it.path, it.what)
        assert names(answer.paths, it), (it.path, it.what, answer.message)
        only_in_cel = it.what.startswith("rule: ") and it.path != "spec.model.kwargs"
        assert only_in_cel or names(schema_refuses, it), (it.path, it.what, schema_refuses)
    assert len({it.path for it in bad}) > 150, "every part of a spec is spoiled"


def names(paths: list[str], bad: BadSpec) -> bool:
    """A refusal of the field, of what holds it, or of what is in it."""
    return any(path.startswith(bad.path) or bad.path.startswith(path) for path in paths if path != "spec")


def values(spec: Any) -> list[str]:
    return sorted(leaves(spec))


def effective(job: TrainingJob) -> dict[str, Any]:
    """The spec as `dump_manifest` writes it."""
    return job.spec.model_dump(mode="json", exclude_none=True)


def as_read(stored: Spec) -> Spec:
    """What readers make of a stored spec: a default that depends on another field, quantities as text."""
    read = copy.deepcopy(stored)
    if not read["checkpoint"]["exact"]:
        read["checkpoint"].setdefault("everySeconds", CHECKPOINT_SECONDS)
    for group in ("rollouts", "learner", "driver"):
        resources = read[group]["resources"]
        for quantities in (resources, resources["extended"]):
            quantities.update({key: str(it) for key, it in quantities.items() if isinstance(it, int)})
    return read
