"""The driver's endpoints: metrics, progress, desired state, drain. Training never waits for them.

The driver publishes one immutable progress document and looks between iterations at what was asked of it;
threads of the server read that document and leave requests. Paths and documents: `spec.driver_protocol`.
"""

from __future__ import annotations

import errno
import re
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rl_platform.driver.http_server import Answer, BoundedServer, Request, Route, refused
from rl_platform.spec.driver_protocol import (
    ACK_QUERY,
    DESIRED_PATH,
    DRAIN_PATH,
    METRICS_PATH,
    PROGRESS_PATH,
    Desired,
    DrainAnswer,
    Progress,
)

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class EndpointError(Exception):
    """The endpoints cannot be opened; the message names host and port and says what to do."""


class DriverEndpoints:
    """Serves from its own threads until `close`.

    ``port`` 0 takes a free one, see `port`. ``token``: asked for everywhere but at /metrics; without one the
    endpoints open on this machine only. ``registry``: what /metrics shows. Raises EndpointError.
    """

    def __init__(
        self, port: int, token: str | None, registry: CollectorRegistry, host: str = "127.0.0.1"
    ) -> None:
        if not token and not _is_loopback(host):
            raise EndpointError(
                f"without a token the driver's endpoints may not listen on {host}; set one, or use 127.0.0.1"
            )
        self._registry = registry
        self._progress: Progress | None = None
        self._desired: Desired | None = None
        self._desired_lock = threading.Lock()
        self._drain = threading.Event()
        self._acknowledged = threading.Event()
        self._server = _listen(host, port, token, self._routes())
        self._thread = threading.Thread(target=self._server.serve, name="driver-endpoints", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def publish(self, progress: Progress) -> None:
        """Show this from now on. It can be acknowledged if its state ends a run and nothing follows it."""
        self._progress = progress
        self._acknowledged.clear()

    @property
    def shown(self) -> Progress:
        """What was published last."""
        assert self._progress is not None
        return self._progress

    def desired(self) -> Desired | None:
        """What was asked for last, by generation; None where nothing was."""
        return self._desired

    @property
    def drain_requested(self) -> bool:
        """Somebody asked for a checkpoint and an end."""
        return self._drain.is_set()

    def wait_for_ack(self, seconds: float) -> bool:
        """Linger until the final progress was read and acknowledged, at most so long; True if it was."""
        return self._acknowledged.wait(seconds)

    def close(self) -> None:
        """Stop listening. Answers that are under way may still be finished."""
        self._server.stop()
        self._thread.join(timeout=5)

    def _routes(self) -> dict[str, dict[str, Route]]:
        return {
            METRICS_PATH: {"GET": Route(self._show_metrics, open=True)},
            PROGRESS_PATH: {"GET": Route(self._show_progress)},
            DESIRED_PATH: {"PUT": Route(self._take_desired)},
            DRAIN_PATH: {"POST": Route(self._take_drain)},
        }

    def _show_metrics(self, request: Request) -> Answer:
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(request.headers.get("Accept") or "")
        return Answer(200, encode(self._registry), kind)

    def _show_progress(self, request: Request) -> Answer:
        progress = self._progress
        acks = request.query.get(ACK_QUERY, [])
        if progress is None:
            return refused(503, "the driver has not published any progress yet; ask again in a second")
        if len(acks) > 1 or (acks and not re.fullmatch("[0-9]{1,9}", acks[0])):
            return refused(400, f"the query {ACK_QUERY} must be given once, as the number of the attempt")
        if acks and int(acks[0]) != progress.attempt:
            return refused(
                409, f"this is attempt {progress.attempt}, not {acks[0]}: nothing was acknowledged"
            )
        body = progress.model_dump_json(by_alias=True).encode()
        # Only when the answer is out may the driver end.
        return Answer(200, body, after=(lambda: self._acknowledge(progress)) if acks else None)

    def _acknowledge(self, progress: Progress) -> None:
        if progress is self._progress and progress.state.final:
            self._acknowledged.set()

    def _take_desired(self, request: Request) -> Answer:
        try:
            desired = Desired.model_validate_json(request.body)
        except ValidationError as error:
            return refused(400, f"the body is not a desired state: {_sentences(error)}")
        with self._desired_lock:
            known = self._desired
            if known is not None and desired.generation < known.generation:
                return refused(409, f"generation {known.generation} was taken already, which is newer")
            if known is not None and desired.generation == known.generation and desired != known:
                return refused(409, f"generation {known.generation} was taken already, with other values")
            self._desired = desired
        return Answer(202, desired.model_dump_json(by_alias=True).encode())

    def _take_drain(self, request: Request) -> Answer:
        del request  # nothing in it matters
        self._drain.set()
        return Answer(202, DrainAnswer(accepted=True).model_dump_json(by_alias=True).encode())


def _listen(host: str, port: int, token: str | None, routes: dict[str, dict[str, Route]]) -> BoundedServer:
    try:
        return BoundedServer(host, port, token, routes)
    except (OSError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        remedy = {
            errno.EADDRINUSE: "the port is in use; choose another driver.port, or 0 for any free one",
            errno.EACCES: "this user may not use the port; choose one above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address; use 127.0.0.1, 0.0.0.0 or ::",
        }.get(number or 0, f"{error}; the port must be 0 to 65535 and the host an address of this machine")
        raise EndpointError(f"the driver's endpoints cannot listen on {host}:{port}: {remedy}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sentences(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, it['loc'])) or 'the document'}: {it['msg']}" for it in error.errors()
    )
