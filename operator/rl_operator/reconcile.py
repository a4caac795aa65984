"""One pass over one job: observe, decide, act, and one write of its status.

Nothing is remembered from pass to pass, save how long ago the status was written. Whatever is announced in
the status is acted on by a later pass, every write can be repeated, and a pass that finds everything as it
should be writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from rl_operator.acting import act
from rl_operator.caches import Caches
from rl_operator.decide import decide, refused
from rl_operator.decision import LATER_SECONDS, Decision
from rl_operator.driver_contact import DriverContacts, Key
from rl_operator.names import OPERATOR
from rl_operator.observed import Job, Observed, job_from
from rl_operator.observing import Observer
from rl_operator.rbac import Rule
from rl_operator.retry import final_progress
from rl_operator.runtime.api import Api, ApiError, Conflict, NotFound
from rl_operator.runtime.merge_patch import merge_patch
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.runtime.views import Views
from rl_operator.settings import Settings
from rl_operator.status import compose
from rl_operator.status_reading import status_from
from rl_operator.telling import Events, tell
from rl_platform.spec.status import TrainingJobStatus

RULES = (Rule(TRAINING_JOBS, ("patch",), subresource="status"),)
PROGRESS_SECONDS = 10.0
CATCH_UP_SECONDS = 0.05
TOO_OLD = (
    "the server does not keep all of the status: its CustomResourceDefinition of TrainingJobs is older than "
    "this operator, and has to be applied anew"
)


class Reconciler:
    """Thread-safe for different keys; the queue gives one key to one worker at a time."""

    def __init__(
        self,
        api: Api,
        caches: Caches,
        contacts: DriverContacts,
        clock: Callable[[], float],
        settings: Settings,
        events: Events,
    ) -> None:
        self._api, self._caches, self._contacts = api, caches, contacts
        self._clock, self._settings, self._events = clock, settings, events
        self._jobs = Views(caches.jobs, job_from)
        self._observer = Observer(api, caches, contacts, clock)
        self._status_written_at: dict[Key, float] = {}

    def reconcile(self, key: Key) -> float | None:
        """Seconds until the next look is due; None: only when something changes. Raises ApiError."""
        job = self._jobs.get(*key)
        if job is None:
            self._forget(key)
            return None
        if not (self._caches.jobs.caught_up(key) and self._caches.clusters.caught_up(key)):
            return CATCH_UP_SECONDS
        if job.deleting or not _is_ours(job):
            self._forget(key)
            return None
        seen = self._observer.observe(job)
        decision = decide(seen, self._settings)
        if decision.makes_cluster and not self._observer.still_there(job):
            return LATER_SECONDS  # its watch has yet to say that it is gone
        refusal = act(self._api, self._caches, job, decision.writes)
        if refusal is not None:
            decision = refused(seen, decision, refusal)
        elif decision.scaled_in:
            names = ", ".join(decision.scaled_in)
            self._events.emit(
                job, "Normal", "ScaledIn", f"Pods of rollout workers that were drained go: {names}"
            )
        if decision.order is not None:
            self._contacts.order(key, decision.order)
        again = _sooner(decision.look_again_seconds, self._write_status(seen, decision))
        if decision.order is None:
            # Not before its end is written down: after a Conflict the driver would have to be looked at anew,
            # and each pass that ordered that would forget how often it was in vain.
            self._contacts.order(key, None)
        return again

    def _write_status(self, seen: Observed, decision: Decision) -> float | None:
        """At most one write. Progress alone is written now and then, but a last word at once."""
        job, new = seen.job, compose(seen, decision)
        if new == job.status:
            return None
        last = self._status_written_at.get(job.key)
        lately = last is not None and 0 <= seen.now - last < PROGRESS_SECONDS
        if last is not None and lately and _is_progress_alone(job, new) and not final_progress(seen.sighting):
            return PROGRESS_SECONDS - (seen.now - last)
        dumped = new.model_dump(mode="json", by_alias=True, exclude_none=True)
        patch = {
            "metadata": {"resourceVersion": job.resource_version},
            "status": merge_patch(job.stored, dumped),
        }
        place = (TRAINING_JOBS, job.namespace, job.name)
        try:
            written = self._api.merge_patch(*place, patch, subresource="status")
        except (Conflict, NotFound):
            # Decided on what is no longer so, and the watch may be long in saying it.
            if not self._observer.still_there(job):
                self._caches.jobs.forget(*job.key, job.uid)
            if self._caches.jobs.get(*job.key) is not None:
                raise  # look again: it has changed, or another one has its name
            self._forget(job.key)
            return None
        self._caches.jobs.wrote(job.key, written["metadata"]["resourceVersion"])
        self._status_written_at[job.key] = seen.now
        if status_from(written.get("status") or {}) != new:
            raise ApiError(0, "DefinitionTooOld", TOO_OLD)
        tell(self._events, job, new)
        return None

    def _forget(self, key: Key) -> None:
        self._contacts.order(key, None)
        self._status_written_at.pop(key, None)


def _is_progress_alone(job: Job, new: TrainingJobStatus) -> bool:
    """Nothing else of the status is new."""
    old = {"progress": job.status.progress, "checkpoint": job.status.checkpoint}
    return new.model_copy(update=old) == job.status


def _is_ours(job: Job) -> bool:
    managed_by = job.spec.run_policy.managed_by if job.spec is not None else None
    return managed_by in (None, OPERATOR)


def _sooner(one: float | None, other: float | None) -> float | None:
    given = [it for it in (one, other) if it is not None]
    return min(given) if given else None
