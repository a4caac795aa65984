"""The one seam between the operator and anything over HTTP: tests put a model or a fault in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One call. ``path`` begins with a slash and is not encoded; ``timeout_seconds``: connect and read.

    ``most_bytes`` for an answer of somebody who is not trusted: a longer one, or one that takes longer than
    ``timeout_seconds`` as a whole, is none.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # tokens are in them
    timeout_seconds: float = 30.0
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """Any answer, also one that refuses. Header names are in lower case."""

    status: int
    body: bytes = field(repr=False, default=b"")
    headers: Mapping[str, str] = field(default_factory=dict)


class ConnectionLost(Exception):
    """No answer: refused, reset, timed out. Whether the request took effect is unknown."""


class Transport(Protocol):
    """Raises ConnectionLost; every answer that arrives is returned, whatever its status."""

    def send(self, request: Request) -> Response: ...

    def stream(self, request: Request) -> Iterator[bytes]:
        """Lines of a long answer, until the other side ends it.

        With a status of 400 or more the only line is the whole body, a Status document. Raises
        ConnectionLost, also when nothing comes for ``timeout_seconds``.
        """
        ...
