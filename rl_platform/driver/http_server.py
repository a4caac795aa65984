"""A small HTTP server that nobody can hold up: every size, time and number of connections is bounded.

One request per connection. Errors are JSON: ``{"error": "<a sentence>"}``.
"""

from __future__ import annotations

import hmac
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from rl_platform.spec.driver_protocol import TOKEN_HEADER

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
"""From the connection to the last byte of the request, however slowly it drips."""
BODY_BYTES = 64 * 1024
CONNECTIONS = 32
POLL_SECONDS = 0.25
"""How soon the server notices that it is to stop."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an endpoint sees; the method, the path and the token have been checked."""

    query: Mapping[str, list[str]]
    headers: Message
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """``after`` is called when the answer has been handed to the network, not when that failed."""

    status: int
    body: bytes
    kind: str = "application/json"
    after: Callable[[], None] | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """``open``: needs no token."""

    act: Callable[[Request], Answer]
    open: bool = False


def refused(status: int, sentence: str, *headers: tuple[str, str]) -> Answer:
    """An answer that says what was wrong and what would be right."""
    return Answer(status, json.dumps({"error": sentence}).encode(), headers=headers)


class BoundedServer(ThreadingMixIn, TCPServer):
    """``routes``: path → method → route. Raises OSError where host and port cannot be had."""

    # Not http.server's own class: that looks up the host's name, which takes seconds without a name service.
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, host: str, port: int, token: str | None, routes: Mapping[str, Mapping[str, Route]]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.routes = routes
        self.token = token
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def serve(self) -> None:
        """Until `stop`."""
        self.serve_forever(POLL_SECONDS)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            log.warning("a connection to the driver's endpoints was refused: %d are open", CONNECTIONS)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started, so none will give it back
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection to the driver's endpoints broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server_version = "rl-platform"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Deadline(self.connection, time.monotonic() + REQUEST_SECONDS))

    def handle_one_request(self) -> None:
        self.close_connection = True
        super().handle_one_request()
        self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        # The standard library looks for do_<METHOD>; here the routes know which methods there are.
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        try:
            answer = self._decide()
        except TimeoutError:
            answer = refused(408, f"the request was not complete within {REQUEST_SECONDS:g} seconds")
        except Exception:
            log.exception("an endpoint of the driver failed")
            answer = refused(500, "the endpoint failed; the driver's log says why")
        self._send(answer)
        if answer.after:
            answer.after()

    def _decide(self) -> Answer:
        server = cast(BoundedServer, self.server)
        try:
            url = urlsplit(self.path)
        except ValueError as error:
            return refused(400, f"the path cannot be read: {error}")
        methods = server.routes.get(url.path)
        if methods is None:
            return refused(404, f"there is no such path; there are {', '.join(sorted(server.routes))}")
        route = methods.get(self.command)
        if route is None:
            allowed = ", ".join(sorted(methods))
            return refused(405, f"this path takes {allowed} and not {self.command}", ("Allow", allowed))
        refusal = None if route.open else self._refuse_stranger(server.token)
        if refusal:
            return refusal
        body = self._body()
        if isinstance(body, Answer):
            return body
        return route.act(Request(parse_qs(url.query, keep_blank_values=True), self.headers, body))

    def _refuse_stranger(self, token: str | None) -> Answer | None:
        if not token:
            # Without a token this must not be a way for web pages that are open on this machine.
            from_page = self.headers.get("Origin")
            return refused(403, "requests from web pages are not taken") if from_page else None
        header = self.headers.get(TOKEN_HEADER) or self.headers.get("Authorization") or ""
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            challenge = ("WWW-Authenticate", 'Bearer realm="rl-platform"')
            return refused(401, "this needs the header `Authorization: Bearer <token>`", challenge)
        if not hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode()):
            return refused(403, "the token is not the one of this job")
        return None

    def _body(self) -> bytes | Answer:
        if self.headers.get("Transfer-Encoding"):
            return refused(411, "chunked bodies are not taken; send a Content-Length")
        lengths = set(self.headers.get_all("Content-Length", []))
        if not lengths:
            return refused(411, "a Content-Length is needed") if self.command == "PUT" else b""
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            return refused(400, "the Content-Length must be one whole number")
        if len(length) > 9 or int(length) > BODY_BYTES:
            return refused(413, f"the body may have {BODY_BYTES} bytes at most")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return refused(400, f"the body ended after {len(body)} of {length} bytes")
        return body

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses by itself: a malformed request line, too many headers."""
        del explain
        self.command = getattr(self, "command", None) or "GET"
        self.request_version = "HTTP/1.0"  # what it takes a malformed request for, HTTP/0.9, has no headers
        self._send(refused(int(code), message or "the request could not be read"))

    def _send(self, answer: Answer) -> None:
        self.connection.settimeout(REQUEST_SECONDS)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        if answer.status >= 400:
            self._discard()

    def _discard(self) -> None:
        """Read on for a moment: closing on unread bytes resets the connection and loses the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv(1 << 16):
                    return

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s " + format, self.address_string(), *args)


class _Deadline(io.RawIOBase):
    """Reads a socket until a moment, however many reads that takes."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
