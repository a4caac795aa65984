"""One HTTP server for `/healthz`, `/readyz` and `/metrics`.

`/healthz` fails where a restart would help: a loop is stuck. `/readyz` fails until the caches are filled; who
is the leader does not matter to it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry, generate_latest

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""What is wrong; empty: nothing."""
LINES_AT_ONCE = 500
TEXT = "text/plain; charset=utf-8"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_TIMEOUT_SECONDS = 10.0


class HealthServer:
    """Serves from `start` until `close`, in threads of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        live: Iterable[Check],
        ready: Iterable[Check],
        registry: CollectorRegistry,
        job_series: Callable[[], Iterator[str]],
    ) -> None:
        """Raises OSError where the port can't be had. ``job_series``: lines that follow the registry's."""
        self._pages: dict[str, Callable[[], tuple[int, str, Iterator[bytes]]]] = {
            "/healthz": lambda: _verdict(live),
            "/readyz": lambda: _verdict(ready),
            "/metrics": lambda: (200, EXPOSITION, _exposition(registry, job_series())),
        }
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        handler = type("Handler", (_Handler,), {"pages": self._pages})
        self._server: ThreadingHTTPServer = server((host, port), handler)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: the end of the connection ends a page whose length nobody knows."""

    pages: ClassVar[dict[str, Callable[[], tuple[int, str, Iterator[bytes]]]]] = {}
    timeout = CLIENT_TIMEOUT_SECONDS
    server_version = "rl-operator"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.pages.get(self.path.partition("?")[0])
        status, content, body = page() if page is not None else (404, TEXT, iter([b"not found\n"]))
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.end_headers()
        try:
            for part in body:
                self.wfile.write(part)
        except OSError:
            self.close_connection = True  # the reader went away

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)


def _verdict(checks: Iterable[Check]) -> tuple[int, str, Iterator[bytes]]:
    faults = [fault for check in checks if (fault := check())]
    body = "".join(f"{fault}\n" for fault in faults) or "ok\n"
    return (503 if faults else 200), TEXT, iter([body.encode()])


def _exposition(registry: CollectorRegistry, lines: Iterator[str]) -> Iterator[bytes]:
    yield generate_latest(registry)
    while part := list(islice(lines, LINES_AT_ONCE)):
        yield "".join(part).encode()
