"""Starts a Ray of the run's own on this machine, in as many tries as a machine under load may need."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl_platform.workers import ray_reaper

log = logging.getLogger(__name__)

STARTS = 3


class RayNotStarted(Exception):
    """Ray did not come up on this machine. The message has the tries, the machine's load and what to do."""


def start(folder: Path, store_bytes: int | None, cpus: int) -> None:
    """Ray gives its own processes half a minute, which a machine under load may need more than once.

    Raises RayNotStarted, and ValueError where Ray refuses what it is started with.
    """
    import ray

    began = time.monotonic()
    for left in reversed(range(STARTS)):
        os.environ[ray_reaper.FOLDER_ENV] = str(folder)
        try:
            with _in_sessions_of_their_own():
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    object_store_memory=store_bytes,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=str(folder),
                )
            return
        except Exception as error:
            ray.shutdown()
            ray_reaper.end_all(folder)  # each try would leave another set of processes
            if isinstance(error, ValueError):
                raise
            if not left:
                raise RayNotStarted(_why(error, time.monotonic() - began)) from error
            log.warning("Ray did not start in time; once more")
        finally:
            del os.environ[ray_reaper.FOLDER_ENV]


def _why(error: Exception, seconds: float) -> str:
    said = (str(error).strip() or type(error).__name__).partition("\n")[0]
    return (
        f"Ray did not start on this machine in {STARTS} tries and {seconds:.0f} s, with a load of "
        f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: run it again when less else is running, with "
        "spec.rollouts.replicas and spec.learner.replicas at 0, which needs no Ray, or on a Ray that runs "
        f"already (RAY_ADDRESS=host:port); Ray says: {said}"
    )


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Ray sets handlers of its own for signals that this process listens to: while it starts, which may take
    a minute, SIGTERM would end the process, and is to be a request to stop.
    """
    import ray._private.utils as of_ray

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    setter = of_ray.set_sigterm_handler
    if before[signal.SIGTERM] not in (signal.SIG_DFL, None):
        of_ray.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        of_ray.set_sigterm_handler = setter
        # Also where Python knows of no change: Ray's C++ takes the signals from under it, and aborts at them.
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)


@contextmanager
def _in_sessions_of_their_own() -> Iterator[None]:
    """`timeout`, a terminal and some schedulers signal the whole group of a process. Ray's processes would
    end at once, and a driver whose Ray is gone before it is up waits for a minute and aborts.
    """
    import ray._private.services as of_ray

    starter = of_ray.ConsolePopen

    class Apart(starter):  # type: ignore[misc, valid-type]  # Ray has no types
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "start_new_session": True})

    of_ray.ConsolePopen = Apart  # type: ignore[misc]  # mypy: a class is no variable
    try:
        yield
    finally:
        of_ray.ConsolePopen = starter  # type: ignore[misc]  # as above
