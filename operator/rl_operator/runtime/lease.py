"""Leader election on a Lease: one operator acts, the others wait. Times are local and monotonic.

A Lease does not fence: a leader that was paused may still make a call or two. The rules of reconcile (fixed
names, preconditions, intent before effect) make those harmless; this only keeps two from working at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rl_operator.rbac import Rule
from rl_operator.runtime.api import AlreadyExists, Api, ApiError, Conflict
from rl_operator.runtime.micro_time import micro_time
from rl_operator.runtime.resources import LEASES

log = logging.getLogger(__name__)

LEASE_NAME = "rl-operator"
RULES = (
    Rule(LEASES, ("get", "update"), names=(LEASE_NAME,), own=True),
    Rule(LEASES, ("create",), own=True),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: how long a Lease holds, how long its holder tries to renew it, and how often anybody tries."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class Elector:
    """`acquire` waits for the Lease; two threads then keep and watch it. ``on_lost`` ends the process.

    Give it an Api of its own, unpaced and with a timeout below ``renew_deadline``.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        identity: str,
        on_lost: Callable[[], None],
        *,
        name: str = LEASE_NAME,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_leader = False
        self._api = api
        self._place = (LEASES, namespace, name)
        self._identity = identity
        self._on_lost = on_lost
        self._timing = timing or Timing()
        self._clock = clock
        self._stop = threading.Event()
        self._seen: dict[str, Any] = {}  # the spec of the Lease, and since when it has been like that
        self._seen_at = clock()
        self._waits_for = ""  # whom the log has named
        self._renewed_at = 0.0
        self._turned_at = clock()
        self._renewing: threading.Thread | None = None

    def turn_age_seconds(self) -> float:
        """Since the loop last did something, a failed attempt included."""
        return self._clock() - self._turned_at

    def acquire(self) -> bool:
        """Wait until this is the leader; False: `release` was called meanwhile."""
        while not self._stop.is_set():
            if self.attempt():
                self._lead()
                return True
            self._stop.wait(self._timing.retry)
        return False

    def release(self) -> None:
        """Stop renewing and give the Lease back, so that another need not wait for it to run out."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.join(self._timing.renew_deadline)
        if not self.is_leader:
            return
        self.is_leader = False
        try:
            lease = self._api.get(*self._place)
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time()}
                self._api.replace(*self._place, lease)
        except ApiError as error:
            log.info("the lease runs out by itself: %s", error)

    def attempt(self) -> bool:
        """Take or renew the Lease once. Errors count as no."""
        started = self._turned_at = self._clock()
        try:
            held = self._take()
        except (Conflict, AlreadyExists):
            held = False
        except ApiError as error:
            log.warning("lease: %s", error)
            held = False
        self._turned_at = self._clock()
        if held:
            self._renewed_at = started  # the earliest that others may count from
        return held

    def _take(self) -> bool:
        lease = self._api.get(*self._place)
        if lease is None:
            self._api.create(*self._place[:2], self._first())
            return True
        spec = lease.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = dict(spec), self._clock()
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and self._still_held(spec):
            if holder != self._waits_for:
                log.info("waiting: the leader is %s", holder)
                self._waits_for = holder
            return False
        changed = holder != self._identity
        lease["spec"] = spec | {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._timing.duration)),
            "renewTime": micro_time(),
            "leaseTransitions": int(spec.get("leaseTransitions") or 0) + changed,
        }
        if changed:
            lease["spec"]["acquireTime"] = lease["spec"]["renewTime"]
        self._api.replace(*self._place, lease)
        return True

    def _still_held(self, spec: dict[str, Any]) -> bool:
        """Another's Lease runs from when we saw it change: the two clocks need not agree."""
        duration = float(spec.get("leaseDurationSeconds") or self._timing.duration)
        return self._clock() < self._seen_at + duration

    def _first(self) -> dict[str, Any]:
        now = micro_time()
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._place[2], "namespace": self._place[1]},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": max(1, round(self._timing.duration)),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _lead(self) -> None:
        self.is_leader = True
        log.info("this is the leader: %s", self._identity)
        renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        renewing.start()
        self._renewing = renewing  # only now: `release` may come at any time, and joins it
        threading.Thread(target=self._watch, name="lease-watch", daemon=True).start()

    def _renew(self) -> None:
        while not self._stop.wait(self._timing.retry):
            if not self.attempt() and self._seen.get("holderIdentity") not in ("", None, self._identity):
                self._lose("another holds it")
                return

    def _watch(self) -> None:
        """Apart from the renewing, because a call may hang for longer than the Lease holds."""
        while not self._stop.wait(self._timing.retry / 8):
            if self._clock() - self._renewed_at > self._timing.renew_deadline:
                self._lose(f"not renewed for {self._timing.renew_deadline:g} s")
                return

    def _lose(self, why: str) -> None:
        if self._stop.is_set():
            return
        self.is_leader = False
        log.error("the lease is lost: %s", why)
        self._on_lost()
