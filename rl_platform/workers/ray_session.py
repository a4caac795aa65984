"""The Ray that a run works on: one that is there already, or one of its own that it starts and stops."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl_platform.spec.driver_protocol import JOB_UID_ENV
from rl_platform.workers import ray_reaper
from rl_platform.workers.ray_start import handlers_kept, start

log = logging.getLogger(__name__)

ADDRESS_ENV = "RAY_ADDRESS"
AUTO, HERE = "auto", "local"
"""What Ray takes for addresses besides those of clusters: whichever runs here, and a new one here."""
HEAD_FILE = Path("/tmp/ray/ray_current_cluster")
"""Where ``ray start --head`` writes its address."""
PREFIX = "rlp-ray-"
ANSWER_SECONDS = 30.0
"""Within which an address must take a connection: Ray itself would try for an hour, and say nothing."""
LONGEST_FOLDER = 18
"""A socket's path has at most 107 characters, and Ray and the name of its folder add up to 89."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # warns of a future change at each start
    "RAY_DEDUP_LOGS": "0",
}
PATIENT = {
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_worker_register_timeout_seconds": "300",
}
"""A machine under load takes its time to start things."""
FAIR = {"RAY_worker_niceness": "0"}
"""At Ray's niceness of 15, workers beside anything else, the driver for one, hardly get to run."""

INLINE_BYTES = 1024
"""Holds what is told of a fragment or of weights; arrays that stay are larger."""
ARRAYS_STAY = {"env_vars": {"RAY_max_direct_call_object_size": str(INLINE_BYTES)}}
"""The runtime environment of a process whose results stay with it: Ray sends those of up to 100 kB to who
asked for them, which is not who wants them.
"""


class RayUnreachable(ConnectionError):
    """Nothing answers where the Ray cluster should be. The message has the address and what to do."""


class BadRayAddress(ValueError):
    """RAY_ADDRESS is no address. The message says what would be one."""


class RaySession:
    """Joins the cluster of ``RAY_ADDRESS``, or whose head this machine is, or this process's own Ray;
    otherwise starts one on this machine. ``logs``: where what its workers printed is kept;
    ``store_bytes``: size of its object store, by default a share of the memory; ``cpus``: how many it counts.
    """

    def __init__(
        self, logs: Path | None = None, store_bytes: int | None = None, cpus: int | None = None
    ) -> None:
        self.logs, self.store_bytes, self.cpus = logs, store_bytes, cpus or os.cpu_count() or 1
        self._folder: Path | None = None  # of a Ray of its own
        self._reaper: subprocess.Popen[bytes] | None = None
        self._connected = False

    def open(self) -> None:
        """Raises BadRayAddress, RayUnreachable where a cluster was named that does not answer, and
        RayNotStarted where this machine does not get one of its own to run.
        """
        for name, value in (QUIET | PATIENT | FAIR).items():
            os.environ.setdefault(name, value)
        import ray

        if ray.is_initialized():
            return
        address = _address()
        with handlers_kept():
            if address is not None:
                log.info("joining the Ray cluster at %s", address)
                try:
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
                except ConnectionError as error:
                    raise _unreachable(address) from error
            else:
                self._folder = _short_folder()
                self._reaper = _reaper(self._folder)
                try:
                    start(self._folder, self.store_bytes, self.cpus)
                except BaseException:
                    self._reaper.communicate(ray_reaper.CLOSED)
                    raise
        self._connected = True

    @property
    def is_own(self) -> bool:
        """Whether it has started its Ray, whose logs it keeps in the end."""
        return self._folder is not None

    def placement(self, role: str) -> Mapping[str, Any]:
        """Options of Ray for an actor of this role: its pods' own resource where the cluster has them."""
        import ray

        pinned = f"rlp_{role}"
        resources: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray has no types
        if os.environ.get(JOB_UID_ENV) or pinned in resources:
            return {"num_cpus": 0, "resources": {pinned: 1}}
        # On a Ray of its own they are not counted against the cores: however many there are, all begin.
        # Replay takes memory, and hardly a core.
        return {"num_cpus": 0 if self._folder is not None or role == "replay" else 1}

    def close(self) -> None:
        """Leave the cluster, or stop the Ray that was started here with all its processes."""
        if not self._connected:
            return
        import ray

        self._connected = False
        with handlers_kept():
            ray.shutdown()
        if self._folder is not None:
            self._keep_logs(self._folder)
        if self._reaper is not None:
            self._reaper.communicate(ray_reaper.CLOSED)

    def _keep_logs(self, folder: Path) -> None:
        """What workers printed; Ray's own logs go with it."""
        for file in folder.glob("session_2*/logs/worker-*"):
            if self.logs is not None and file.suffix in (".out", ".err") and file.stat().st_size:
                self.logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, self.logs / file.name)


def starts_its_own() -> bool:
    """Whether a session would start a Ray now: none is joined already, and none is there to join."""
    ray = sys.modules.get("ray")
    joined = ray is not None and ray.is_initialized()
    named = os.environ.get(ADDRESS_ENV)
    return not joined and (named == HERE or (not named and _head_address() is None))


def _address() -> str | None:
    """Of the cluster to join; None for a Ray of this run's own. Raises BadRayAddress and RayUnreachable."""
    named = os.environ.get(ADDRESS_ENV)
    if not named:
        return _head_address()
    if named == HERE:
        return None
    host, _, port = named.rpartition(":")
    if named != AUTO and not named.startswith("ray://") and not (host and port.isdigit() and "/" not in host):
        raise BadRayAddress(
            f"{ADDRESS_ENV}={named} is no address of a Ray cluster; expected host:port, ray://host:port, "
            f"{AUTO} (the one that runs on this machine), or {HERE} or nothing for a Ray of this run's own"
        )
    if not _answers(named, ANSWER_SECONDS):
        raise _unreachable(named)
    return named


def _unreachable(address: str) -> RayUnreachable:
    named = bool(os.environ.get(ADDRESS_ENV))
    where, away = (f"{ADDRESS_ENV}=", f"unset {ADDRESS_ENV}") if named else ("", f"remove {HEAD_FILE}")
    return RayUnreachable(
        f"nothing answers at {where}{address}: start that cluster, or {away} for a Ray of this run's own"
    )


def _reaper(folder: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, as what ends this process from a terminal would end it too."""
    command = [sys.executable, "-I", "-S", ray_reaper.__file__, str(folder)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
    )


def _head_address() -> str | None:
    """Of the head on this machine. What was killed leaves its address behind."""
    try:
        address = HEAD_FILE.read_text().strip()
    except OSError:
        return None
    if not address or _answers(address, 1.0):
        return address or None
    log.warning("%s names %s, where no Ray answers: starting one of this run's own", HEAD_FILE, address)
    return None


def _answers(address: str, seconds: float) -> bool:
    """Something listens there; taken on trust where it is no ``host:port``."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        return True
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
            return True
        except OverflowError:  # no port has such a number
            return False
        except OSError:
            if time.monotonic() > until:
                return False
        time.sleep(0.5)


def _short_folder() -> Path:
    """Named by this process, so that what a killed one has left can be told and removed."""
    place = Path(tempfile.gettempdir())
    place = place if len(str(place)) <= LONGEST_FOLDER else Path("/tmp")
    for folder in place.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
