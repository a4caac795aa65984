"""How an attempt ended, what that counts, how long the next one waits, and when the job is decided. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rl_operator.driver_contact import DriverSighting, JobState
from rl_operator.observed import Observed
from rl_operator.times import read, seconds_since
from rl_platform.spec.conditions import ConditionType, FailureReason, StopReason
from rl_platform.spec.driver_protocol import ExitCode, ProgressState
from rl_platform.spec.runtime import RunPolicy
from rl_platform.spec.status import DriverOutcome, DriverStatus, Failures, TrainingJobStatus

APPLICATION_BACKOFF_SECONDS = (10.0, 600.0)  # after the first failure, at most
DRAINED_PACE_SECONDS = 10.0  # from start to start
INFRASTRUCTURE_BACKOFF_SECONDS = (2.0, 120.0)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a driver ended: ``reason`` and ``message`` go to conditions."""

    outcome: DriverOutcome
    reason: str
    message: str
    traceback: str = ""
    unasked: bool = False  # it saved its state and stopped, and nobody is known to have asked for that


@dataclass(frozen=True, slots=True)
class Word:
    """The last word of a driver about itself."""

    reason: str
    message: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A job that is decided."""

    succeeded: bool
    reason: str
    message: str


def final_progress(sighting: DriverSighting | None) -> bool:
    """The driver has said its last word, though it may linger until somebody has heard it."""
    return sighting is not None and sighting.progress is not None and sighting.progress.state.final


def last_word(sighting: DriverSighting | None) -> Word | None:
    """Why the driver ends, by itself: it is acknowledged once this is in status, and gone soon after."""
    progress = sighting.progress if sighting is not None and final_progress(sighting) else None
    if progress is not None and progress.failure is not None:
        return Word(progress.failure.reason.value, progress.failure.message, failed=True)
    if progress is not None and progress.stop_reason is not None:
        return Word(progress.stop_reason.value, "", failed=False)
    return None


def noted_word(status: TrainingJobStatus) -> Word | None:
    """The last word as it was written down, for when its driver can't be asked again."""
    training = next((it for it in status.conditions if it.type == ConditionType.TRAINING), None)
    if training is None or training.status != "True" or training.reason == "Running":
        return None
    failed = training.reason in {it.value for it in FailureReason}
    return Word(training.reason, training.message, failed)


def drained(sighting: DriverSighting | None) -> bool:
    """The driver has saved its state and ended, as one does that is asked to."""
    return sighting is not None and sighting.exit_code == ExitCode.DRAINED


def ending(
    sighting: DriverSighting, asked_to_stop: bool, noted: Word | None = None, unasked: bool = False
) -> Ending | None:
    """How the driver ended, by Ray and by its own last word; None while it has not.

    ``asked_to_stop``: through Ray; ``unasked``: neither that nor anything else that makes a driver drain.
    """
    if sighting.state is None or not sighting.state.ended:
        return None
    word, code = last_word(sighting) or noted, sighting.exit_code
    logged = _logged_error(sighting.log_tail)
    if sighting.state is JobState.SUCCEEDED:
        reason = word.reason if word is not None and not word.failed else "Completed"
        return Ending(DriverOutcome.DONE, reason, "The training has reached its end.")
    if drained(sighting) and unasked:
        text = "The driver saved its state and ended, though nobody is known to have asked for it."
        return Ending(DriverOutcome.DRAINED, "DrainedUnasked", text, unasked=True)
    if drained(sighting) or (sighting.state is JobState.STOPPED and asked_to_stop):
        return Ending(
            DriverOutcome.DRAINED, "Drained", "The driver was asked to stop and has saved its state."
        )
    said = word if word is not None and word.failed else None
    reason = said.reason if said else ""
    text = said.message if said and said.message else logged or sighting.message
    if sighting.state is JobState.STOPPED:
        text = "The driver was stopped through Ray's Jobs API by somebody else."
        return Ending(DriverOutcome.APPLICATION_FAILURE, "StoppedFromOutside", text)
    if code == ExitCode.BAD_CONFIGURATION:
        return Ending(DriverOutcome.BAD_CONFIGURATION, "BadConfiguration", _first_line(text), text)
    if reason == FailureReason.RAY_LOST:
        return Ending(DriverOutcome.LOST, reason, f"Ray ended under the driver: {_first_line(text)}", text)
    if code is None and said is None:
        return Ending(DriverOutcome.LOST, "DriverLost", f"Ray lost the driver: {_first_line(text)}", text)
    message = _first_line(text) or f"The driver ended with exit code {code}."
    return Ending(DriverOutcome.APPLICATION_FAILURE, reason or "ApplicationFailure", message, text)


def head_lost(seen: Observed, sighting: DriverSighting | None) -> Ending:
    """The head pod is gone. A driver that drained before is nobody's failure."""
    progress = sighting.progress if sighting is not None else None
    noted = noted_word(seen.job.status)  # by an operator that may be gone
    if (progress is not None and progress.state is ProgressState.DRAINED) or (
        noted is not None and noted.reason == StopReason.DRAINED
    ):
        return Ending(
            DriverOutcome.DRAINED, "Evicted", "The head was taken away; the driver saved its state first."
        )
    if seen.cluster is None or seen.cluster.suspended:
        held = "deleted" if seen.cluster is None else "suspended by its queue"
        return Ending(
            DriverOutcome.LOST, "ClusterLost", f"The RayCluster was {held} under the running driver."
        )
    return Ending(DriverOutcome.LOST, "HeadLost", "The head pod with the driver is gone.")


def count(failures: Failures, ended: Ending) -> Failures:
    """What the budgets count after such an end. Whatever may happen again and again, one of them pays."""
    if ended.outcome is DriverOutcome.APPLICATION_FAILURE:
        return failures.model_copy(update={"application": failures.application + 1})
    if ended.outcome is DriverOutcome.LOST or ended.unasked:
        return failures.model_copy(update={"infrastructure": failures.infrastructure + 1})
    return failures


def backoff_seconds(driver: DriverStatus | None, failures: Failures) -> float:
    """How long the next attempt waits after this one's end: doubled with each failure of the same kind."""
    outcome = driver.outcome if driver is not None else None
    if outcome is DriverOutcome.APPLICATION_FAILURE:
        (first, most), times = APPLICATION_BACKOFF_SECONDS, failures.application
    elif outcome is DriverOutcome.LOST:
        (first, most), times = INFRASTRUCTURE_BACKOFF_SECONDS, failures.infrastructure
    else:
        return 0.0
    return float(min(most, first * 2.0 ** min(30, max(0, times - 1))))


def pace_seconds(driver: DriverStatus | None, now: float) -> float:
    """From its end until the next may begin, after one that drained soon after its start."""
    if driver is None or driver.outcome is not DriverOutcome.DRAINED:
        return 0.0
    if driver.start_time is None or driver.end_time is None:
        return 0.0
    again = read(driver.start_time) + DRAINED_PACE_SECONDS
    return max(0.0, again - read(driver.end_time)) if again > now else 0.0


def active_seconds(status: TrainingJobStatus, now: float) -> float:
    """Run so far, over all attempts."""
    driver = status.driver
    running = driver is not None and driver.end_time is None
    return status.active_seconds + (ran_seconds(driver, now) if driver and running else 0.0)


def ran_seconds(driver: DriverStatus, now: float) -> float:
    """Of this attempt; no less than when it was asked to end, though the clock may have gone back since."""
    until = max(now, read(driver.asked_time)) if driver.asked_time else now
    return seconds_since(driver.start_time, until)


def overdue_seconds(policy: RunPolicy, status: TrainingJobStatus, now: float) -> float:
    """By how much the deadline is exceeded; negative while it is not, and where there is none."""
    deadline = policy.active_deadline_seconds
    return active_seconds(status, now) - deadline if deadline is not None else float("-inf")


def verdict(policy: RunPolicy, status: TrainingJobStatus, now: float) -> Verdict | None:
    """Whether the job is decided, by what is written down; None while it may go on.

    To be asked only while no driver runs.
    """
    driver, failures = status.driver, status.failures
    training = next((it for it in status.conditions if it.type == "Training"), None)
    reason, message = (training.reason, training.message) if training else ("Unknown", "")
    outcome = driver.outcome if driver is not None else None
    if outcome is DriverOutcome.DONE:
        return Verdict(True, reason, message)
    if outcome is DriverOutcome.BAD_CONFIGURATION:
        return Verdict(False, reason, message)
    if failures.application > policy.backoff_limit:
        budget = (
            f"{failures.application} failures are more than runPolicy.backoffLimit, {policy.backoff_limit}"
        )
        return Verdict(False, "BackoffLimitExceeded", f"{budget}. The last one, {reason}: {message}")
    if failures.infrastructure > policy.infrastructure_retries:
        most = policy.infrastructure_retries
        budget = f"{failures.infrastructure} losses are more than runPolicy.infrastructureRetries, {most}"
        return Verdict(False, "InfrastructureRetriesExceeded", f"{budget}. The last one, {reason}: {message}")
    if overdue_seconds(policy, status, now) >= 0:
        deadline = policy.active_deadline_seconds
        return Verdict(
            False, "DeadlineExceeded", f"It has run for runPolicy.activeDeadlineSeconds, {deadline:g} s."
        )
    return None


def _logged_error(log: str) -> str:
    """What the driver itself gave as its last error, for one that ended before it could be asked."""
    errors = re.findall(r" ERROR rl_platform\.driver: (.+)", log)
    return str(errors[-1]) if errors else ""


def _first_line(text: str) -> str:
    """The line that says most: of a traceback the last, of anything else the first."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    return (lines[-1] if "Traceback" in text else lines[0])[:1000]
