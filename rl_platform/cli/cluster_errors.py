"""What can go wrong with a cluster, each as one sentence for a person and a type for a program."""

from __future__ import annotations

import json
import re
from typing import Any

from rl_platform.cli.amounts import plain
from rl_platform.spec.driver_protocol import ExitCode

CRD_NAME = "trainingjobs.rlplatform.io"
_FORBIDDEN = re.compile(r'User "(?P<user>.*?)" cannot (?P<verb>\S+) resource "(?P<resource>.*?)"')
_ANONYMOUS = "system:anonymous"


class ClusterError(Exception):
    """The text is the sentence."""

    exit_code = ExitCode.APPLICATION_FAILURE


class InputRefused(ClusterError):
    """A name, a context or an option that cannot be meant: nothing was done."""

    exit_code = ExitCode.BAD_CONFIGURATION


class NotConfigured(InputRefused):
    """No package, no kubeconfig, no such context."""


class Unreachable(ClusterError):
    """No answer. Whether a write took effect is unknown."""


class ApiRefusal(ClusterError):
    """The answer is a refusal. ``status``: HTTP's; ``causes``: field and message of each.

    ``by_server``: it is the API server's own, not that of something behind its proxy, or before it.
    """

    def __init__(
        self, sentence: str, status: int, causes: tuple[tuple[str, str], ...] = (), by_server: bool = True
    ) -> None:
        super().__init__(sentence)
        self.status, self.causes, self.by_server = status, causes, by_server


class LoginNeeded(ApiRefusal):
    """401: the credentials are not accepted."""


class Forbidden(ApiRefusal):
    """403: RBAC, a quota or an admission plugin."""


class NotFound(ApiRefusal):
    """404 for one object."""


class KindMissing(ApiRefusal):
    """404 for a kind: the CRD is not installed."""


class Conflict(ApiRefusal):
    """409: somebody else owns the fields, or the object is another one by now."""


class Expired(ApiRefusal):
    """410: the resourceVersion is too old to watch from."""


class Invalid(ApiRefusal):
    """422, and 400 for what cannot even be decoded."""


_TYPES: dict[int, type[ApiRefusal]] = {
    400: Invalid,
    401: LoginNeeded,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
}


def refusal(status: int, body: bytes, asked: str) -> ApiRefusal:
    """The error for an answer of 400 or more. ``asked``: method and path, for answers that say nothing."""
    document, by_server = _status_document(body)
    message = str(document.get("message") or "").strip() or f"HTTP status {status} for {asked}"
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    causes = tuple(
        (str(each.get("field", "")), str(each.get("message", "")))
        for each in details.get("causes") or ()
        if isinstance(each, dict)
    )
    kind = _TYPES.get(status, ApiRefusal)
    if kind is NotFound and not details.get("name"):
        return KindMissing(_kind_missing(asked), status, by_server=by_server)
    if kind is Forbidden and by_server:
        message = _forbidden(message)
    elif kind is LoginNeeded:
        message = "the API server does not accept the kubeconfig's credentials: log in again"
    return kind(message, status, causes, by_server)


def _status_document(body: bytes) -> tuple[dict[str, Any], bool]:
    """A Status and True, or what else was answered (such as a proxy's page) as its message."""
    try:
        document = json.loads(body)
    except ValueError:
        document = {"message": plain(body[:300].decode(errors="replace"))}
    if not isinstance(document, dict):
        document = {}
    return document, document.get("kind") == "Status"


def _kind_missing(asked: str) -> str:
    if "/apis/rlplatform.io/" not in asked:
        return f"the API server does not know {asked}"
    return (
        f"this cluster has no TrainingJobs (the CRD {CRD_NAME} is missing): install the operator's chart, "
        "`helm install rl-platform helm/rl-platform`, or ask whoever runs the cluster"
    )


def _forbidden(message: str) -> str:
    """Who may not do what; the API server's own words where they are others (quota, admission)."""
    match = _FORBIDDEN.search(message)
    if match is None:
        return f"the API server forbids it: {message}"
    if match["user"] == _ANONYMOUS:
        return "the kubeconfig's user has no credentials, or its login has failed: log in again"
    place = re.search(r'in the namespace "(.*?)"', message)
    where = f"in namespace {place[1]}" if place else "in the whole cluster"
    return f"not allowed: user {match['user']} may not {match['verb']} {match['resource']} {where}"
