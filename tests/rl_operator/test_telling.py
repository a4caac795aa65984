"""What of the first look at a job is worth an event."""

from __future__ import annotations

from rl_operator.decide import decide
from rl_operator.driver_contact import JobState
from rl_operator.observed import Job, Observed
from rl_operator.status import compose
from rl_operator.telling import tell
from tests.rl_operator.observations import SETTINGS, job, pod, running, seen, sighting


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def emit(self, job: Job, kind: str, reason: str, message: str) -> None:
        self.events.append((kind, reason))


def first(observed: Observed) -> list[tuple[str, str]]:
    told = Told()
    tell(told, observed.job, compose(observed, decide(observed, SETTINGS)))
    return told.events


def test_what_is_wrong_is_told_at_once_and_nothing_else() -> None:
    assert first(seen(job(), cluster=None, pods=())) == []
    assert first(seen(job(), cluster=None, pods=(), kuberay_missing=True)) == [("Warning", "KubeRayMissing")]
    wrong = seen(job(environment={"id": "CartPole-v1", "kwargs": {"a": "x" * 10**6}}), cluster=None, pods=())
    assert ("Warning", "BadConfiguration") in first(wrong)


def test_a_drain_that_nobody_asked_for_is_a_warning() -> None:
    drained = sighting(JobState.FAILED, exit_code=3)
    goes = (pod(terminating=True),)
    assert ("Warning", "DrainedUnasked") in first(seen(job(running()), sighting=drained))
    assert ("Warning", "Drained") not in first(seen(job(running()), sighting=drained, pods=goes))
