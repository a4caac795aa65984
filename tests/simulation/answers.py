"""What the API server answers: Status documents with reason and details, as the real one words them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from rl_operator.runtime.resources import Resource
from rl_operator.runtime.transport import Response

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with a document. ``reason`` as in Status.details.causes."""

    reason: str
    field: str
    message: str = ""


class Refused(Exception):
    """A call that is answered with a Status of 400 or more."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.document: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details else {}),
            "code": code,
        }

    @property
    def response(self) -> Response:
        details = self.document.get("details") or {}
        seconds = details.get("retryAfterSeconds")
        headers = {"retry-after": str(seconds)} if seconds is not None else {}
        return Response(self.document["code"], encode(self.document), headers)


def encode(document: object) -> bytes:
    return to_json(document)


def found(document: object, code: int = 200) -> Response:
    return Response(code, encode(document), {"content-type": "application/json"})


def _details(resource: Resource, name: str, shown: str = "") -> Json:
    """``shown`` as kind; the server names sometimes the kind, sometimes its plural."""
    group = {"group": resource.group} if resource.group else {}
    return {**({"name": name} if name else {}), **group, "kind": shown or resource.plural}


def _qualified(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def not_found(resource: Resource, name: str) -> Refused:
    message = f'{_qualified(resource)} "{name}" not found'
    return Refused(404, "NotFound", message, _details(resource, name))


def not_served() -> Response:
    return Response(404, b"404 page not found\n", {"content-type": "text/plain"})


def already_exists(resource: Resource, name: str) -> Refused:
    message = f'{_qualified(resource)} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str, *, shown: str = "") -> Refused:
    message = f'Operation cannot be fulfilled on {_qualified(resource)} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(resource, name, shown))


CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(resource: Resource, name: str, causes: Sequence[Cause], *, shown: str = "") -> Refused:
    listed = [{"reason": it.reason, "message": it.message, "field": it.field} for it in causes]
    details = {**_details(resource, name, shown or resource.kind), "causes": listed}
    said = ", ".join(f"{it.field}: {it.message}" for it in causes)
    return Refused(422, "Invalid", f'{resource.kind}.{resource.group} "{name}" is invalid: {said}', details)


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def forbidden(resource: Resource, name: str, why: str) -> Refused:
    message = f'{_qualified(resource)} "{name}" is forbidden: {why}'
    return Refused(403, "Forbidden", message, _details(resource, name))


def expired(message: str) -> Refused:
    return Refused(410, "Expired", message)
