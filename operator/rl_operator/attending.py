"""While a driver runs: tell it what has changed, press it to end where it should, see how it ended. Pure."""

from __future__ import annotations

from rl_operator import desired, retry
from rl_operator.decision import LATER_SECONDS, Decision, Holds, KeepLog, Write
from rl_operator.drift import drifted
from rl_operator.driver_contact import DriverOrder, DriverSighting, Head
from rl_operator.names import log_key, logs_name
from rl_operator.observed import Observed
from rl_operator.resizing import Draining, Resizing, resize
from rl_operator.retry import Ending
from rl_operator.settings import Settings
from rl_operator.status import told
from rl_operator.suspend import Pressure, asked_before, noted, pressure
from rl_operator.times import written
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.driver_protocol import Desired
from rl_platform.spec.status import DriverOutcome, DriverState, DriverStatus
from rl_platform.spec.training_job import TrainingJobSpec

UNSETTLED_SECONDS = 10.0  # not running yet, or asked to end


def attend(seen: Observed, spec: TrainingJobSpec, driver: DriverStatus, settings: Settings) -> Decision:
    """Watch the driver, tell it what has changed, and write down how it ended."""
    status = seen.job.status
    sighting = _of_this_attempt(seen, driver)
    press = _pressure(seen, spec, driver, settings)
    over = _over(seen, driver, sighting, press, settings)
    if over is not None:
        return end(seen, driver, over, sighting, counted=press is not Pressure.TAKE_AWAY)
    conditions = {}
    if press and spec.run_policy.suspend:
        conditions[ConditionType.SUSPENDED] = Holds("Unknown", "Suspending", "The driver saves a checkpoint.")
    elif not spec.run_policy.suspend:
        conditions[ConditionType.SUSPENDED] = Holds("False", "NotSuspended")
    running = sighting is not None and sighting.state is not None
    if running and driver.start_time is None:
        driver = driver.model_copy(update={"start_time": written(seen.now)})
        conditions[ConditionType.TRAINING] = Holds("True", "Running", f"Attempt {status.attempt} runs.")
    word = retry.last_word(sighting)
    if word is not None:
        conditions[ConditionType.TRAINING] = Holds("True", word.reason, word.message)
    sizes = Resizing() if press else resize(seen, spec, Draining(sighting, settings.drain_grace_seconds))
    order = _order(seen, spec, driver, sighting, press, settings)
    driver = noted(driver, press, seen.now)
    return Decision(
        status.model_copy(update={"driver": driver, "rollouts": sizes.noted(status.rollouts, seen.now)}),
        conditions,
        sizes.writes,
        order,
        look_again_seconds=UNSETTLED_SECONDS if press or not running or sizes.waits else LATER_SECONDS,
        scaled_in=sizes.pods,
    )


def end(
    seen: Observed,
    driver: DriverStatus,
    ending: Ending,
    sighting: DriverSighting | None = None,
    counted: bool = True,
) -> Decision:
    """Keep the end of the log, and write down how the attempt ended."""
    job, status = seen.job, seen.job.status
    writes: tuple[Write, ...] = ()
    if sighting is not None and sighting.log_tail:
        key = log_key(status.attempt)
        body = desired.log_config_map(job, key, sighting.log_tail)
        writes = (KeepLog(job.namespace, logs_name(job.name, job.uid), key, body),)
    ended = driver.model_copy(
        update={"state": DriverState.ENDED, "outcome": ending.outcome, "end_time": written(seen.now)}
    )
    update = {
        "driver": ended,
        "active_seconds": status.active_seconds + retry.ran_seconds(driver, seen.now),
        "failures": retry.count(status.failures, ending) if counted else status.failures,
    }
    if ending.traceback:
        update["traceback"] = ending.traceback[-2048:]
    conditions = {ConditionType.TRAINING: Holds("False", ending.reason, ending.message)}
    return Decision(status.model_copy(update=update), conditions, writes, look_again_seconds=0.0)


def _of_this_attempt(seen: Observed, driver: DriverStatus) -> DriverSighting | None:
    sighting = seen.sighting
    if sighting is None or sighting.submission_id != driver.submission_id or sighting.head_uid != driver.head:
        return None
    return sighting


def _pressure(seen: Observed, spec: TrainingJobSpec, driver: DriverStatus, settings: Settings) -> Pressure:
    """How hard the driver is asked to end: because of a suspension, or of the deadline."""
    overdue = retry.overdue_seconds(spec.run_policy, seen.job.status, seen.now) >= 0
    wanted = spec.run_policy.suspend or overdue
    return pressure(driver, wanted, seen.now, settings.drain_grace_seconds, settings.stop_grace_seconds)


def _over(
    seen: Observed,
    driver: DriverStatus,
    sighting: DriverSighting | None,
    press: Pressure,
    settings: Settings,
) -> Ending | None:
    """How the attempt ended, by Ray, by its head, or because nothing is heard of it; None: it goes on."""
    if sighting is not None:
        asked = press is not Pressure.NONE or asked_before(driver) is Pressure.STOP
        unasked = _is_unasked(seen, driver, press)
        ended = retry.ending(sighting, asked, retry.noted_word(seen.job.status), unasked)
        if ended is not None:
            return ended
    if seen.attempt_head_gone:
        return retry.head_lost(seen, sighting)
    if press is Pressure.TAKE_AWAY:
        return Ending(DriverOutcome.LOST, "TakenAway", "The driver did not end when it was asked to.")
    if sighting is None:
        return None
    if sighting.found is False and driver.start_time is not None:
        return Ending(DriverOutcome.LOST, "DriverForgotten", "Ray's head no longer knows the driver.")
    if sighting.found is False and press:
        return Ending(DriverOutcome.DRAINED, "NotStarted", "The driver had not been started.")
    if sighting.unreachable_seconds > settings.unreachable_deadline_seconds:
        text = (
            f"Ray's head has not answered for {settings.unreachable_deadline_seconds:g} s: {sighting.error}"
        )
        return Ending(DriverOutcome.LOST, "DriverUnreachable", text)
    return None


def _is_unasked(seen: Observed, driver: DriverStatus, press: Pressure) -> bool:
    """Neither we nor the end of its pod have made the driver drain."""
    head = seen.pod(driver.head)
    stays = head is not None and head.alive and not head.terminating
    return stays and press is Pressure.NONE and asked_before(driver) is Pressure.NONE


def _order(
    seen: Observed,
    spec: TrainingJobSpec,
    driver: DriverStatus,
    sighting: DriverSighting | None,
    press: Pressure,
    settings: Settings,
) -> DriverOrder | None:
    job, pod = seen.job, seen.pod(driver.head)
    if pod is None:
        return None
    replicas = None if drifted(job) else spec.rollouts.replicas
    wanted = Desired(generation=job.generation, replicas=replicas, stop=spec.stop)
    announced = min(press, asked_before(driver))  # what is not written down yet waits for the next pass
    word = retry.last_word(sighting)
    told_of = word is None or retry.noted_word(job.status) is not None
    heard = retry.final_progress(sighting) and told_of
    return DriverOrder(
        submission_id=driver.submission_id,
        attempt=job.status.attempt,
        head=Head(job.namespace, pod.name, pod.uid, pod.ip),
        token=settings.token(job.uid),
        # Not again: a head without a driver that has run is another one, or has forgotten it.
        submit=press is Pressure.NONE and not pod.terminating and driver.start_time is None,
        env=desired.driver_environment(job, wanted, pod),
        desired=wanted,
        drain=announced >= Pressure.DRAIN,
        stop=announced >= Pressure.STOP,
        acknowledge=heard and told(job.status, sighting) == job.status,
    )
