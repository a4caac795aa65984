"""How a driver is brought to an end: drain, then stop, then take its cluster away. Pure.

Each step is written down before it is done, and its grace runs from then: neither an operator that was away
nor a clock that was set leaves one out, or forgets one.
"""

from __future__ import annotations

from enum import IntEnum

from rl_operator.times import seconds_since, written
from rl_platform.spec.status import DriverAsked, DriverStatus


class Pressure(IntEnum):
    """How hard a driver is asked to end."""

    NONE = 0
    DRAIN = 1  # checkpoint and stop
    STOP = 2  # SIGTERM, then SIGKILL, by Ray's Jobs API
    TAKE_AWAY = 3  # delete the cluster under it


ASKED = {
    Pressure.NONE: None,
    Pressure.DRAIN: DriverAsked.DRAIN,
    Pressure.STOP: DriverAsked.STOP,
}


def asked_before(driver: DriverStatus) -> Pressure:
    """What is written down, and may have been done."""
    return next(press for press, asked in ASKED.items() if asked is driver.asked)


def pressure(
    driver: DriverStatus, wanted: bool, now: float, drain_grace_seconds: float, stop_grace_seconds: float
) -> Pressure:
    """The present step, or the next one once the grace of the present one is over."""
    if not wanted:
        return Pressure.NONE
    asked, since = asked_before(driver), seconds_since(driver.asked_time, now)
    if asked is Pressure.NONE:
        return Pressure.DRAIN
    if asked is Pressure.DRAIN:
        return Pressure.STOP if since >= drain_grace_seconds else asked
    return Pressure.TAKE_AWAY if since >= stop_grace_seconds else asked


def noted(driver: DriverStatus, press: Pressure, now: float) -> DriverStatus:
    """With what it is asked from now on.

    What was asked may have been heard, and is not forgotten; once it is taken back, its grace begins anew.
    """
    asked = asked_before(driver)
    if press is Pressure.NONE:
        return driver.model_copy(update={"asked_time": None})
    if press is asked and driver.asked_time is not None:
        return driver
    return driver.model_copy(update={"asked": ASKED[press], "asked_time": written(now)})
