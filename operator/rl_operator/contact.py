"""One look at a driver, and what is asked of it meanwhile: `DriverOrder` in, `DriverSighting` out.

No thread, sleep or clock is in here. Whatever is asked is asked again at every look until it is seen to hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rl_operator.driver_contact import DriverOrder, DriverSighting, JobState
from rl_operator.driver_http import DriverHttp
from rl_operator.hiding import hide_in_sighting
from rl_operator.jobs_api import JobsApi, Submission, Unreachable
from rl_operator.reach import Reach
from rl_platform.spec.driver_protocol import Progress, ProgressState

RAY_SECONDS = 15.0


def contact(
    order: DriverOrder, previous: DriverSighting | None, reach: Reach, now: float, looked_at: float
) -> DriverSighting:
    """``previous``: the last sighting; one of another attempt or another head counts for nothing.

    ``now`` in seconds since the epoch, ``looked_at`` by a clock that nobody sets.
    """
    before = previous if previous is not None and is_of(previous, order) else None
    known = before or DriverSighting(order.submission_id, order.head.uid, now)
    seen = _Look(order, known, reach, now, looked_at).take()
    return hide_in_sighting(replace(seen, at=now, looked_at=looked_at))


def is_of(sighting: DriverSighting, order: DriverOrder) -> bool:
    """Same attempt, same life of the head."""
    return (sighting.submission_id, sighting.head_uid) == (order.submission_id, order.head.uid)


def unfulfilled(order: DriverOrder, sighting: DriverSighting | None) -> bool:
    """Whether something is wanted that has not been seen to hold, so that looking again soon is worth it."""
    if sighting is None or not is_of(sighting, order):
        return True
    state, progress = sighting.state, sighting.progress
    if sighting.found is False:
        return order.submit
    if state is None or state.ended:
        return False
    if state is JobState.PENDING or order.drain or order.stop or order.acknowledge:
        return True
    return order.desired is not None and not _acted_on(order, progress)


def _acted_on(order: DriverOrder, progress: Progress | None) -> bool:
    if order.desired is None or progress is None:
        return order.desired is None
    return (progress.desired_generation or 0) >= order.desired.generation


@dataclass(frozen=True, slots=True)
class _Look:
    order: DriverOrder
    before: DriverSighting
    reach: Reach
    now: float
    looked_at: float

    def take(self) -> DriverSighting:
        if not self._speaks_for_itself():
            return self._by_ray(None)
        spoken = self._spoken_to(self.before)
        return self._by_ray(spoken) if spoken is self.before else spoken

    def _speaks_for_itself(self) -> bool:
        """Ray said lately that the driver runs, and that has answered: while it does, Ray is not asked."""
        before = self.before
        lately = self.looked_at - before.ray_heard_at < RAY_SECONDS
        runs = before.state is JobState.RUNNING and before.unreachable_since is None
        return lately and runs and before.progress is not None and not self.order.stop

    def _by_ray(self, spoken: DriverSighting | None) -> DriverSighting:
        """``spoken``: the driver itself has been asked in this look."""
        known = spoken or self.before
        jobs = JobsApi(self.reach, self.order.head, self.order.token)
        try:
            found = jobs.get(self.order.submission_id)
            if found is None and self.order.submit:
                jobs.submit(self.order.submission_id, self.order.entrypoint, self.order.env)
                found = jobs.get(self.order.submission_id)
        except Unreachable as error:
            return self._unreachable(known, str(error), ask=spoken is None)
        answered = replace(
            known,
            unreachable_since=None,
            unreachable_seconds=0.0,
            error="",
            found=found is not None,
            ray_heard_at=self.looked_at,
        )
        if found is None:
            return answered
        seen = replace(answered, state=found.state, exit_code=found.exit_code, message=found.message)
        if found.state.ended:
            return self._ended(seen, found, jobs)
        if found.state is JobState.RUNNING and spoken is None:
            seen = self._spoken_to(seen)
        if self.order.stop:
            jobs.stop(self.order.submission_id)
        return seen

    def _unreachable(self, known: DriverSighting, error: str, ask: bool) -> DriverSighting:
        """The driver itself may well go on, and say so."""
        seen = replace(known, found=None, error=error)
        if self.before.unreachable_since is None:
            seen = replace(seen, unreachable_since=self.now)
        else:
            silent = self.looked_at - self.before.looked_at
            seen = replace(seen, unreachable_seconds=seen.unreachable_seconds + silent)
        return self._spoken_to(seen) if ask and self.before.state is JobState.RUNNING else seen

    def _spoken_to(self, seen: DriverSighting) -> DriverSighting:
        """Read the progress, and ask for what is not in it yet."""
        order = self.order
        driver = DriverHttp(self.reach, order.head, order.token)
        progress = driver.progress()
        if progress is None or progress.attempt != order.attempt:
            return seen
        seen = replace(seen, progress=progress)
        if progress.state.final:
            if order.acknowledge and not seen.acknowledged:
                taken = driver.progress(acknowledge=order.attempt)
                seen = replace(seen, acknowledged=taken is not None, progress=taken or progress)
            return seen
        if order.desired is not None and not _acted_on(order, progress):
            driver.put_desired(order.desired)
        if order.drain and progress.state is not ProgressState.DRAINING:
            driver.drain()
        return seen

    def _ended(self, seen: DriverSighting, found: Submission, jobs: JobsApi) -> DriverSighting:
        """Its process is gone: what is left is the end of its log, which is read once."""
        if seen.log_tail:
            return seen
        try:
            return replace(seen, log_tail=jobs.log_tail(self.order.submission_id, found.node))
        except Unreachable:
            return seen
