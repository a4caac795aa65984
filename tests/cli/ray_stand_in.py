"""The one page of Ray's Jobs API that ``rlp logs`` reads, behind the real API server's proxy to pods.

The API server refuses to proxy to a loopback address, so it listens on the machine's own.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class RayStandIn:
    """``logs``: by submission id; ``token``: what is asked for, as the token mode of Ray does."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.logs: dict[str, str] = {}
        self.seen: list[dict[str, str]] = []
        self.address, self.port = "", 0

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.seen.append(headers)
        given = headers.get("x-ray-authorization")
        if given is None:
            return 401, b"Unauthorized: Missing authentication token"
        if given != f"Bearer {self.token}":
            return 403, b"Forbidden: Invalid authentication token"
        submission = path.removeprefix("/api/jobs/").removesuffix("/logs")
        if submission not in self.logs:
            return 404, f"Job {submission} does not exist".encode()
        return 200, json.dumps({"logs": self.logs[submission]}).encode()

    @contextmanager
    def serving(self) -> Iterator[RayStandIn]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, body = stand_in.answer(self.path, headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        server = ThreadingHTTPServer((own_address(), 0), Handler)
        self.address, self.port = str(server.server_address[0]), server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def own_address() -> str:
    """Of this machine, and no loopback; skips where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: this only asks which address would be used
        except OSError:
            pytest.skip("this machine has no address but loopback, and the API server does not proxy to that")
        return str(probe.getsockname()[0])
