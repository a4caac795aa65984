"""Where the server is asked because a cache may be too old."""

from __future__ import annotations

import pytest

from rl_operator.observed import job_from
from rl_operator.observing import Observer
from tests.rl_operator.observations import NOW, running
from tests.rl_operator.stale_caches import Nobody, Stale


@pytest.mark.parametrize(("phase", "gone"), [("Running", False), ("Failed", True), (None, True)])
def test_a_head_that_no_cache_shows_is_gone_only_if_the_server_says_so(phase: str | None, gone: bool) -> None:
    stale = Stale()
    job = stale.create_job(running())
    head = stale.create_head(job["metadata"]["uid"], phase)["metadata"]["uid"] if phase else "another"
    document = stale.report(running(head=head))
    seen = Observer(stale.api, stale.caches, Nobody(), lambda: NOW).observe(job_from(document))
    assert seen.attempt_head_gone is gone
    assert (seen.pod(head) is not None) is (phase is not None)
