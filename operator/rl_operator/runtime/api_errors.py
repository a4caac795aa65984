"""What can go wrong in a call to the API server, as types: each asks for another reaction of the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rl_operator.runtime.transport import Response


class ApiError(Exception):
    """The server refused, or could not be understood. ``status`` is 0 where no answer came."""

    def __init__(
        self, status: int, reason: str, message: str, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{reason or status}: {message}" if reason or status else message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class NotFound(ApiError):
    """404: the object, or the namespace that it should go to, does not exist."""


class KindMissing(ApiError):
    """404 for a whole kind: its CustomResourceDefinition is not installed, or serves another version."""


class Conflict(ApiError):
    """409: the object has changed since it was read, or is another one under the same name."""


class AlreadyExists(ApiError):
    """409 to a create: an object of that name is there. Whose it is, its owner reference says."""


class Expired(ApiError):
    """410: the server has forgotten the resource version, or where the list was to go on. List again."""


class Invalid(ApiError):
    """422: the object breaks its schema or a rule. ``message`` holds the server's sentence."""


class Forbidden(ApiError):
    """403: a rule is missing in RBAC, or a quota or admission plugin said no."""


class Unauthorized(ApiError):
    """401: the credentials are wrong or have run out."""


class TooManyRequests(ApiError):
    """429: wait for ``retry_after_seconds`` at least."""


class UnknownOutcome(ApiError):
    """No answer, or a 5xx: the write may have happened. Nothing may be assumed; observe again."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}


def as_error(response: Response) -> ApiError:
    """The error of an answer whose status is 400 or more."""
    return from_status(
        response.status,
        status_document(response.body),
        text=response.body.decode("utf-8", "replace"),
        retry_after=response.headers.get("retry-after"),
    )


def status_document(body: bytes) -> dict[str, Any] | None:
    """The ``kind: Status`` in a body; None for anything else (a proxy's page, ``404 page not found``)."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("kind") == "Status" else None


def from_status(
    code: int,
    document: Mapping[str, Any] | None,
    *,
    text: str = "",
    retry_after: str | None = None,
) -> ApiError:
    """``document``: a Status, of a body or of a watch's ERROR event; ``text`` stands in without one."""
    found = document or {}
    details = found.get("details") or {}
    reason = str(found.get("reason") or "")
    message = str(found.get("message") or text[:500].strip() or "no message")
    error = _class_of(code, reason, details, known=document is not None)
    return error(code, reason, message, _seconds(retry_after, details.get("retryAfterSeconds")))


def _class_of(code: int, reason: str, details: Mapping[str, Any], *, known: bool) -> type[ApiError]:
    if code >= 500:
        return UnknownOutcome
    if code == 404:
        # An unserved path gets plain text; a missing object gets a Status that names it.
        return NotFound if known and (details.get("name") or details.get("kind")) else KindMissing
    if code == 409:
        return AlreadyExists if reason == "AlreadyExists" else Conflict
    return _BY_STATUS.get(code, ApiError)


def _seconds(header: str | None, detail: object) -> float | None:
    """Retry-After in seconds (its date form is not used by API servers), else the Status' own figure."""
    if header is not None and header.strip().isdigit():
        return float(header)
    return float(detail) if isinstance(detail, int | float) and detail > 0 else None
