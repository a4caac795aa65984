"""Stands between an operator and all that it calls, counts the calls, and lets one of them go wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rl_operator.driver_contact import Head
from rl_operator.reach import Reach
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.runtime.transport import ConnectionLost, Request, Response, Transport
from tests.simulation.answers import Refused
from tests.simulation.schedules import Counted, Fault

DOWN_SECONDS = 30.0
LATE_CALLS = {"late-leader-1": 1, "late-leader-3": 3, "late-leader-slow": 2}
LATE_SECONDS = {"late-leader-1": 8.0, "late-leader-3": 20.0, "late-leader-slow": 70.0}
ERRORS = {
    "error-409": (409, "Conflict", "Operation cannot be fulfilled: the object has been modified"),
    "error-404": (404, "NotFound", "it is not found"),
    "error-422": (422, "Invalid", "it is invalid"),
    "error-403": (403, "Forbidden", "it is forbidden: exceeded quota: small"),
    "error-429": (429, "TooManyRequests", "too many requests"),
    "error-500": (500, "InternalError", "an error on the server"),
    "error-504": (504, "Timeout", "the server did not answer in time"),
}


class OperatorDied(BaseException):
    """The process is gone; not an Exception, so that nothing in it can go on."""


@dataclass
class Injector:
    """One for a run, over all its operator processes. ``depose``: start another leader and let it work."""

    now: Callable[[], float]
    depose: Callable[[int, float], None]
    shift_clock: Callable[[float], None]
    fault: Fault | None = None
    counts: Counter[Counted] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    coming: Fault | None = field(init=False)
    old_snapshot: bool = False
    _api_down_until: float = 0.0
    _ray_down_until: float = 0.0

    def __post_init__(self) -> None:
        self.coming = self.fault

    def api(self, process: int, transport: Transport, request: Request) -> Response:
        """A call of the API server."""
        self.counts[Counted.CALL] += 1
        write = request.method != "GET" and ("dryRun", "All") not in request.query
        self._judge(request, write)
        self.note(process, f"{request.method} {request.path} {_short(request)}")
        if self.now() < self._api_down_until:
            raise ConnectionLost("the API server does not answer")
        if write:
            return self._write(process, lambda: transport.send(request))
        return self._call(lambda: transport.send(request), Counted.CALL)

    def ray(self, process: int, reach: Reach, head: Head, port: int, request: Request) -> Response:
        """A call of a head."""
        self.counts[Counted.RAY] += 1
        self.note(process, f"ray {head.pod} {request.method} {request.path}")
        if self.now() < self._ray_down_until:
            raise ConnectionLost("the head does not answer")
        if request.method in ("POST", "PUT"):
            return self._write(process, lambda: reach.send(head, port, request), Counted.RAY)
        return self._call(lambda: reach.send(head, port, request), Counted.RAY)

    def note(self, process: int, text: str) -> None:
        self.trace.append(f"{self.now():.2f} #{process} {text}")

    def struck(self, counted: Counted) -> str:
        """The kind of the fault that hits the thing that was counted last; empty: none."""
        fault = self.coming
        if fault is None or fault.counted != counted or fault.at != self.counts[counted]:
            return ""
        self.coming = fault.then
        self.trace.append(f"{self.now():.2f} FAULT {fault.kind}@{fault.at}")
        return fault.kind

    def _write(
        self, process: int, perform: Callable[[], Response], counted: Counted = Counted.CALL
    ) -> Response:
        self.counts[Counted.WRITE] += 1
        match self.struck(Counted.WRITE):
            case "":
                return self._call(perform, counted)
            case "crash-before":
                raise OperatorDied
            case "crash-after":
                perform()
                raise OperatorDied
            case "old-snapshot":
                perform()
                self.old_snapshot = True
                raise OperatorDied
            case "answer-lost":
                perform()
                raise ConnectionLost("the answer was lost")
            case "clock-forward":
                self.shift_clock(600.0)
            case "clock-back":
                self.shift_clock(-600.0)
            case late:
                self.depose(LATE_CALLS[late], LATE_SECONDS[late])
        return perform()

    def _call(self, perform: Callable[[], Response], counted: Counted) -> Response:
        match kind := self.struck(counted):
            case "":
                return perform()
            case "timeout" | "ray-timeout":
                raise ConnectionLost("timed out")
            case "server-down":
                self._api_down_until = self.now() + DOWN_SECONDS
                raise ConnectionLost("the API server does not answer")
            case "ray-hangs":
                self._ray_down_until = self.now() + DOWN_SECONDS
                raise ConnectionLost("the head does not answer")
            case "ray-lost":
                perform()
                raise ConnectionLost("the answer was lost")
            case "ray-twice":
                perform()
                return perform()
            case "ray-500":
                return Response(500, b"an error in Ray")
            case "error-504-applied":
                perform()
                kind = "error-504"
        code, reason, message = ERRORS[kind]
        details = {"kind": "objects", "name": "it"} | ({"retryAfterSeconds": 2} if code == 429 else {})
        return Refused(code, reason, message, details).response

    def _judge(self, request: Request, write: bool) -> None:
        """What no operator may ever ask."""
        if request.method == "DELETE":
            uid = json.loads(request.body or b"{}").get("preconditions", {}).get("uid")
            if not uid:
                self.violations.append(f"deletes by name alone: {request.path}")
        elif write and f"/{TRAINING_JOBS.plural}/" in request.path and not request.path.endswith("/status"):
            self.violations.append(f"writes the spec of a job: {request.method} {request.path}")


@dataclass
class LateCalls:
    """What is left to a leader that has been deposed."""

    left: int

    def spend(self) -> None:
        if self.left <= 0:
            raise OperatorDied
        self.left -= 1


@dataclass
class Seam:
    """The two seams of one operator process, Transport and Reach."""

    process: int
    injector: Injector
    transport: Transport
    heads: Reach
    late: LateCalls | None = None
    busy: bool = False

    def send(self, request: Request) -> Response:
        if self.late is not None:
            self.late.spend()
        return self.injector.api(self.process, self.transport, request)

    def stream(self, request: Request) -> Iterator[bytes]:
        raise AssertionError("caches are fed without watches here")

    @property
    def reach(self) -> SeamOfHeads:
        return SeamOfHeads(self)


@dataclass
class SeamOfHeads:
    """`Reach`, of the same process."""

    seam: Seam

    def send(self, head: Head, port: int, request: Request) -> Response:
        if self.seam.late is not None:
            self.seam.late.spend()
        return self.seam.injector.ray(self.seam.process, self.seam.heads, head, port, request)


def _short(request: Request) -> str:
    text = (request.body or b"").decode()
    return text if len(text) < 200 else f"{text[:120]} ... ({len(text)} bytes)"
