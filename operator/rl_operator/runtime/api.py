"""Calls to the API server: dicts in and out, every refusal a typed error, every call paced and reported."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from rl_operator.runtime.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KindMissing,
    NotFound,
    TooManyRequests,
    Unauthorized,
    UnknownOutcome,
    as_error,
    from_status,
)
from rl_operator.runtime.resources import Resource
from rl_operator.runtime.token_bucket import TokenBucket
from rl_operator.runtime.transport import ConnectionLost, Request, Response, Transport

__all__ = [
    "AlreadyExists",
    "Api",
    "ApiError",
    "Call",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "KindMissing",
    "Listing",
    "NotFound",
    "TooManyRequests",
    "Unauthorized",
    "UnknownOutcome",
    "WatchEvent",
]

FIELD_MANAGER = "rl-operator"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

Object = dict[str, Any]
Operations = list[dict[str, Any]]
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list, or one page of it; ``resource_version`` is the same on every page."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """``type``: ADDED, MODIFIED, DELETED or BOOKMARK (its object holds a resource version and no more)."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is over, for metrics. ``code`` is 0 where no answer came."""

    verb: str
    method: str
    resource: Resource
    code: int
    seconds: float


def _ignore(call: Call) -> None:
    pass


class Api:
    """``bucket`` paces all calls, ``observe`` is told of each, ``timeout_seconds`` bounds all but watches.

    Raises ApiError and its subclasses, nothing else.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        bucket: TokenBucket | None = None,
        observe: Callable[[Call], None] = _ignore,
        sleep: Callable[[float], None] = time.sleep,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._observe = observe
        self._sleep = sleep
        self._timeout_seconds = timeout_seconds

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """None: there is no such object. Raises KindMissing where the kind itself is not served."""
        try:
            return self._call("get", resource, Request("GET", resource.path(namespace, name)))
        except NotFound:
            return None

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Listing:
        """Every page, of one namespace or of all. Raises Expired where a page came too late."""
        items: list[Object] = []
        version = ""
        selectors = {"label_selector": label_selector, "field_selector": field_selector}
        for page in self.pages(resource, namespace, limit=limit, **selectors):
            items += page.items
            version = page.resource_version
        return Listing(items, version)

    def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Iterator[Listing]:
        """As `list`, page by page, each fetched when it is asked for: a large list never is in memory."""
        query = _given(labelSelector=label_selector, fieldSelector=field_selector, limit=str(limit))
        following = ""
        while True:
            request = Request(
                "GET",
                resource.path(namespace),
                (*query, *_given(**{"continue": following})),
                timeout_seconds=60,
            )
            document = self._call("list", resource, request)
            metadata = document.get("metadata") or {}
            # Items of a list carry neither apiVersion nor kind.
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            items = [{**kind, **item} for item in document.get("items") or ()]
            yield Listing(items, str(metadata.get("resourceVersion", "")))
            following = str(metadata.get("continue") or "")
            if not following:
                return

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        timeout_seconds: float,
        read_timeout_seconds: float = 80.0,
    ) -> Iterator[WatchEvent]:
        """Changes after ``resource_version``, bookmarks included, until the server ends the watch.

        Nothing for ``read_timeout_seconds`` raises UnknownOutcome: bookmarks come about once a minute, so
        the connection is dead. Raises Expired where the version is too old.
        """
        query = _given(
            watch="1",
            allowWatchBookmarks="true",
            resourceVersion=resource_version,
            timeoutSeconds=str(int(timeout_seconds)),
            labelSelector=label_selector,
        )
        request = Request(
            "GET",
            resource.path(namespace),
            query,
            timeout_seconds=min(read_timeout_seconds, timeout_seconds + 30),
        )
        self._pace()
        started = time.monotonic()
        code = 0
        try:
            for line in self._transport.stream(request):
                event = _event(line)
                code = 200
                yield event
            code = code or 200  # an answer without a single event
        except ConnectionLost as lost:
            raise UnknownOutcome(0, "", str(lost)) from lost
        except ApiError as refused:
            code = refused.status
            raise
        finally:
            self._observe(Call("watch", "GET", resource, code, time.monotonic() - started))

    def create(
        self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False
    ) -> Object:
        """The object as the server made it. ``dry_run``: validate strictly, store nothing.

        Raises AlreadyExists, Invalid, Forbidden (quota too).
        """
        strict = {"dryRun": "All", "fieldValidation": "Strict"} if dry_run else {}
        query = _given(fieldManager=FIELD_MANAGER, **strict)
        request = Request("POST", resource.path(namespace), query, _encode(body))
        return self._call("create", resource, request)

    def json_patch(
        self, resource: Resource, namespace: str | None, name: str, operations: Operations
    ) -> Object:
        """RFC 6902. A ``test`` operation that fails raises Invalid (422)."""
        request = Request(
            "PATCH", resource.path(namespace, name), _MANAGED, _encode(operations), content_type=JSON_PATCH
        )
        return self._call("patch", resource, request)

    def merge_patch(
        self, resource: Resource, namespace: str | None, name: str, patch: Object, *, subresource: str = ""
    ) -> Object:
        """RFC 7386. With ``metadata.resourceVersion``, an object that has changed since raises Conflict."""
        path = resource.path(namespace, name, subresource)
        request = Request("PATCH", path, _MANAGED, _encode(patch), content_type=MERGE_PATCH)
        return self._call("patch", resource, request)

    def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Object, *, subresource: str = ""
    ) -> Object:
        """Raises Conflict where ``metadata.resourceVersion`` of the body is not the present one."""
        request = Request("PUT", resource.path(namespace, name, subresource), _MANAGED, _encode(body))
        return self._call("update", resource, request)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
    ) -> bool:
        """Of this very object. False: it was gone. Raises Conflict where another one has its name."""
        preconditions = {"uid": uid} | ({"resourceVersion": resource_version} if resource_version else {})
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": "Background",
        }
        request = Request("DELETE", resource.path(namespace, name), (), _encode(options))
        try:
            self._call("delete", resource, request)
        except NotFound:
            return False
        return True

    def _call(self, verb: str, resource: Resource, request: Request) -> Object:
        self._pace()
        started = time.monotonic()
        code = 0
        try:
            response = self._transport.send(replace(request, timeout_seconds=self._timeout_seconds))
            code = response.status
        except ConnectionLost as lost:
            raise UnknownOutcome(0, "", str(lost)) from lost
        finally:
            self._observe(Call(verb, request.method, resource, code, time.monotonic() - started))
        if code >= 400:
            raise as_error(response)
        return _decode(response)

    def _pace(self) -> None:
        if self._bucket is not None and (wait := self._bucket.reserve()) > 0:
            self._sleep(wait)


def _given(**query: str) -> Query:
    return tuple((name, value) for name, value in query.items() if value)


_MANAGED = _given(fieldManager=FIELD_MANAGER)


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _decode(response: Response) -> Object:
    try:
        document = from_json(response.body, cache_strings="all")  # objects of a list are much alike
    except ValueError:
        document = None
    if not isinstance(document, dict):
        # Something between us and the server answered; whether the server did anything is not known.
        raise UnknownOutcome(response.status, "", "the answer is no JSON object")
    return document


def _event(line: bytes) -> WatchEvent:
    """Raises the typed error of a refusal or of an ERROR event."""
    try:
        document = from_json(line, cache_strings="keys")
        if document.get("kind") == "Status":
            raise from_status(int(document.get("code") or 0), document)
        event = WatchEvent(document["type"], document["object"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnknownOutcome(0, "", f"no watch event: {line[:200].decode('utf-8', 'replace')!r}") from None
    if event.type == "ERROR":
        raise from_status(int(event.object.get("code") or 0), event.object)
    return event
