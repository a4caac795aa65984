"""Two ways to a port of a head: straight to the pod, or through the API server from outside a cluster."""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from pydantic_core import from_json

from rl_operator.driver_contact import Head
from rl_operator.runtime.resources import PODS
from rl_operator.runtime.transport import ConnectionLost, Request, Response, Transport

MAX_BYTES = 4 * 2**20
CHUNK_BYTES = 2**16


class Reach(Protocol):
    """One call to a head. Raises ConnectionLost where the head itself did not answer."""

    def send(self, head: Head, port: int, request: Request) -> Response: ...


class ThroughApiServer:
    """By the proxy subresource of pods: the kubeconfig needs get, create and update on pods/proxy.

    An operator inside the cluster goes straight, and is not granted them: they reach every pod.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send(self, head: Head, port: int, request: Request) -> Response:
        proxy = PODS.path(head.namespace, f"{head.pod}:{port}", "proxy")
        response = self._transport.send(
            Request(
                request.method,
                proxy + request.path,
                request.query,
                request.body,
                request.content_type,
                request.headers,
                request.timeout_seconds,
                MAX_BYTES,
            )
        )
        if response.status >= 400 and (said := _said_by_api_server(response.body)) is not None:
            raise ConnectionLost(f"the API server did not reach {head.pod}:{port}: {said}")
        return response


class Direct:
    """From inside the cluster's network. ``timeout_seconds`` of a request bounds the whole of it."""

    def send(self, head: Head, port: int, request: Request) -> Response:
        if not head.ip:
            raise ConnectionLost(f"{head.pod} has no address yet")
        until = time.monotonic() + request.timeout_seconds
        target = quote(request.path) + (f"?{urlencode(request.query)}" if request.query else "")
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        connection = http.client.HTTPConnection(head.ip, port, timeout=request.timeout_seconds)
        try:
            connection.connect()
            connection.sock = _Bounded(connection.sock, until)
            connection.request(request.method, target, request.body, headers)
            answer = connection.getresponse()
            body = _read(answer)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise ConnectionLost(f"{head.pod} ({head.ip}:{port}) did not answer: {reason}") from None
        finally:
            connection.close()
        return Response(answer.status, body, {name.lower(): value for name, value in answer.getheaders()})


class _Bounded(socket.socket):
    """Ends at a time of the monotonic clock, however slowly status line, headers or body drip."""

    def __init__(self, connected: socket.socket, until: float) -> None:
        super().__init__(connected.family, connected.type, connected.proto, fileno=connected.detach())
        self._until = until

    def recv_into(self, *arguments: Any, **keywords: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out while reading the answer")
        self.settimeout(left)
        return super().recv_into(*arguments, **keywords)


def _read(answer: http.client.HTTPResponse) -> bytes:
    """All of it, within MAX_BYTES."""
    parts: list[bytes] = []
    size = 0
    while True:
        part = answer.read1(CHUNK_BYTES)
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > MAX_BYTES:
            raise http.client.HTTPException(f"the answer has more than {MAX_BYTES} bytes")
        parts.append(part)


def _said_by_api_server(body: bytes) -> str | None:
    """The message of a Status document: neither Ray nor the driver answers with one."""
    try:
        document = from_json(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return None
    return str(document.get("message") or document.get("reason") or "no reason given")
