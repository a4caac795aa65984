"""What a call to the API server asks RBAC for, and a transport that notes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

from rl_operator.rbac import Rule
from rl_operator.runtime.transport import Request, Response

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Access(NamedTuple):
    """``target``: plural, with a subresource after a slash."""

    verb: str
    group: str
    target: str
    name: str
    namespace: str


def access(method: str, path: str, *, watch: bool = False) -> Access:
    """As the API server reads a request (its RequestInfo)."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    target = "/".join([rest[0], *rest[2:3]])
    verb = VERBS.get(method) or ("watch" if watch else "get" if name else "list")
    return Access(verb, group, target, name, namespace)


def allows(rule: Rule, asked: Access, own_namespace: str) -> bool:
    return (
        (rule.resource.group, rule.target) == (asked.group, asked.target)
        and asked.verb in rule.verbs
        and (not rule.names or asked.name in rule.names)
        and (not rule.own or asked.namespace == own_namespace)
    )


class Recorder:
    """Answers as an empty cluster does, and notes every access."""

    def __init__(self) -> None:
        self.asked: set[Access] = set()
        self.watching = threading.Event()

    def send(self, request: Request) -> Response:
        asked = access(request.method, request.path)
        self.asked.add(asked)
        if asked.verb == "get":
            return Response(404, b'{"kind":"Status","reason":"NotFound","details":{"name":"x"}}')
        return Response(200, b'{"metadata":{"resourceVersion":"1","name":"x"},"items":[]}')

    def stream(self, request: Request) -> Iterator[bytes]:
        self.asked.add(access(request.method, request.path, watch=True))
        yield b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"2"}}}'
