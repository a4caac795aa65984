"""Passes over what a cache still shows and the server does not have any more."""

from __future__ import annotations

import pytest

from rl_operator.decision import LATER_SECONDS
from rl_operator.observed import Job
from rl_operator.reconcile import Reconciler
from rl_operator.runtime.resources import TRAINING_JOBS
from tests.rl_operator.observations import NOW, SETTINGS, waiting
from tests.rl_operator.stale_caches import NAME, NAMESPACE, Nobody, Stale


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
