"""Where the server is asked because a cache may be too old."""

from __future__ import annotations

import pytest

from rl_operator.driver_contact import DriverSighting, JobState, Key
from rl_operator.names import JOB_LABEL
from rl_operator.observed import job_from
from rl_operator.observing import Observer
from rl_operator.runtime.resources import PODS
from tests.rl_operator.observations import NOW, running, sighting
from tests.rl_operator.stale_caches import NAME, NAMESPACE, Nobody, Stale


class Sees(Nobody):
    def __init__(self, seen: DriverSighting) -> None:
        self._seen = seen

    def sighting(self, key: Key) -> DriverSighting | None:
        return self._seen


@pytest.mark.parametrize(("phase", "gone"), [("Running", False), ("Failed", True), (None, True)])
def test_a_head_that_no_cache_shows_is_gone_only_if_the_server_says_so(phase: str | None, gone: bool) -> None:
    stale = Stale()
    job = stale.create_job(running())
    head = stale.create_head(job["metadata"]["uid"], phase)["metadata"]["uid"] if phase else "another"
    document = stale.report(running(head=head))
    seen = Observer(stale.api, stale.caches, Nobody(), lambda: NOW).observe(job_from(document))
    assert seen.attempt_head_gone is gone
    assert (seen.pod(head) is not None) is (phase is not None)


def test_whether_the_head_goes_is_asked_where_its_driver_has_drained_unasked() -> None:
    """An eviction costs the job nothing, though the cache may show it late."""
    stale = Stale()
    job = stale.create_job(running())
    head = stale.create_head(job["metadata"]["uid"])
    head["metadata"]["labels"][JOB_LABEL] = NAME
    stale.caches.pods.take(head)
    document = stale.report(running(head=head["metadata"]["uid"]))
    stale.model.user("PATCH", PODS.path(NAMESPACE, "head"), {"metadata": {"finalizers": ["test/kept"]}})
    stale.model.user("DELETE", PODS.path(NAMESPACE, "head"))
    for drained in (False, True):
        end = sighting(JobState.FAILED, exit_code=3 if drained else 1)
        seen = Observer(stale.api, stale.caches, Sees(end), lambda: NOW).observe(job_from(document))
        pod = seen.pod(head["metadata"]["uid"])
        assert pod is not None
        assert pod.terminating is drained
