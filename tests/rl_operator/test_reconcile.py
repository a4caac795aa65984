"""Passes over what a cache still shows and the server does not have any more."""

from __future__ import annotations

import pytest

from rl_operator.decision import LATER_SECONDS
from rl_operator.observed import Job, job_from
from rl_operator.reconcile import Reconciler
from rl_operator.runtime.api import ApiError, Conflict, NotFound
from rl_operator.runtime.resources import RAY_CLUSTERS, TRAINING_JOBS
from rl_operator.runtime.transport import Request, Response
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.crd import custom_resource_definition
from rl_platform.spec.status import TrainingJobStatus
from tests.rl_operator.observations import NOW, SETTINGS, waiting
from tests.rl_operator.stale_caches import NAME, NAMESPACE, Nobody, Stale
from tests.simulation.api_model import ApiModel
from tests.simulation.model_kinds import custom_kind
from tests.simulation.world import cluster_kind


class Unheard:
    def emit(self, job: Job, kind: str, reason: str, message: str) -> None:
        pass


def reconciler(stale: Stale) -> Reconciler:
    return Reconciler(stale.api, stale.caches, Nobody(), lambda: NOW, SETTINGS, Unheard())


def test_a_job_that_is_there_gets_its_cluster() -> None:
    stale = Stale()
    stale.create_job(waiting())
    reconciler(stale).reconcile((NAMESPACE, NAME))
    assert len(stale.clusters()) == 1


@pytest.mark.parametrize("made_again", [False, True])
def test_a_deleted_job_gets_none_though_the_cache_still_has_it(made_again: bool) -> None:
    """Nothing would hurry to collect it, and pods of a job that nobody has would run meanwhile."""
    stale = Stale()
    document = stale.create_job(waiting())
    stale.model.user("DELETE", TRAINING_JOBS.path(NAMESPACE, NAME))
    if made_again:
        Stale(stale.model).create_job(waiting())
    assert stale.caches.jobs.get(NAMESPACE, NAME)["metadata"]["uid"] == document["metadata"]["uid"]
    assert reconciler(stale).reconcile((NAMESPACE, NAME)) == LATER_SECONDS
    assert stale.clusters() == []


def test_a_job_that_is_deleted_during_a_pass_is_no_fault_of_anybody() -> None:
    stale = Stale()
    stale.create_job(TrainingJobStatus())
    stale.model.user("DELETE", TRAINING_JOBS.path(NAMESPACE, NAME))
    reconciler(stale).reconcile((NAMESPACE, NAME))
    assert stale.caches.jobs.get(NAMESPACE, NAME) is None


def test_another_one_of_the_name_that_was_made_during_a_pass_is_looked_at() -> None:
    """Nothing else would wake it: the cache has it already when its watch tells of it."""
    stale = Stale()
    stale.create_job(TrainingJobStatus())
    stale.model.user("DELETE", TRAINING_JOBS.path(NAMESPACE, NAME))
    made = Stale(stale.model).create_job(TrainingJobStatus())
    with pytest.raises(Conflict):
        reconciler(stale).reconcile((NAMESPACE, NAME))
    found = stale.caches.jobs.get(NAMESPACE, NAME)
    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_single_answer_that_a_job_is_gone_is_not_believed() -> None:
    stale = Stale()
    stale.create_job(TrainingJobStatus())
    send, lies = stale.model.send, [True]

    def wrong(request: Request) -> Response:
        if request.method == "PATCH" and lies:
            lies.clear()
            return Response(404, b'{"kind": "Status", "code": 404, "details": {"name": "walker"}}')
        return send(request)

    stale.model.send = wrong  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        reconciler(stale).reconcile((NAMESPACE, NAME))
    assert stale.caches.jobs.get(NAMESPACE, NAME) is not None


def test_a_cluster_of_somebody_else_under_the_name_is_left_alone_and_said() -> None:
    stale = Stale()
    job = job_from(stale.create_job(waiting()))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "another", "controller": True}
    body = {
        "apiVersion": RAY_CLUSTERS.api_version,
        "kind": RAY_CLUSTERS.kind,
        "metadata": {"name": job.child, "ownerReferences": [owner]},
        "spec": {"headGroupSpec": {}},
    }
    stale.model.user("POST", RAY_CLUSTERS.path(NAMESPACE), body)
    assert reconciler(stale).reconcile((NAMESPACE, NAME)) == LATER_SECONDS
    told = job_from(stale.model.user("GET", TRAINING_JOBS.path(NAMESPACE, NAME)))
    ready = next(it for it in told.status.conditions if it.type == ConditionType.CLUSTER_READY)
    assert (ready.status, ready.reason) == ("False", "NameTaken")
    suspended = told.status.model_copy(update={"driver": None})
    stale.model.user("PATCH", TRAINING_JOBS.path(NAMESPACE, NAME), {"spec": {"runPolicy": {"suspend": True}}})
    stale.report(suspended)
    reconciler(stale).reconcile((NAMESPACE, NAME))
    assert stale.clusters() == [job.child]


def test_a_definition_that_keeps_less_than_is_written_is_said() -> None:
    """Each pass would write the same anew, and what has to be written down first never would be."""
    older = custom_resource_definition()
    status = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    del status["properties"]["driver"]["properties"]["createdTime"]
    stale = Stale(ApiModel([custom_kind(TRAINING_JOBS, older), cluster_kind()]))
    stale.model.namespaces.add(NAMESPACE)
    stale.create_job(TrainingJobStatus())
    with pytest.raises(ApiError, match="has to be applied anew"):
        reconciler(stale).reconcile((NAMESPACE, NAME))
