"""An in-memory API server behind the operator's seam: fast enough for thousands of runs.

What it does and a real server does is compared case by case in tests/apiserver/test_contract.py. Left out:
server-side apply, conversion, admission beyond `Kind.rule`, RBAC, CEL itself (rules are Python functions).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rl_operator import times
from rl_operator.runtime.resources import Resource
from rl_operator.runtime.transport import Request, Response
from tests.simulation import patches, structural, writing
from tests.simulation.answers import Cause as Cause
from tests.simulation.answers import (
    Refused,
    already_exists,
    bad_request,
    conflict,
    encode,
    expired,
    found,
    not_found,
    not_served,
)
from tests.simulation.model_kinds import BUILT_IN, Kind
from tests.simulation.selectors import fields_match, labels_match
from tests.simulation.store import Change, Name, Store, Stored

Json = dict[str, Any]
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
EPOCH = 1_700_000_000.0


class ApiModel:
    """A Transport. ``now``: epoch seconds. Every version of an object is kept until `Store.compact`."""

    def __init__(
        self, kinds: Iterable[Kind] = (), *, now: Callable[[], float] = lambda: EPOCH, seed: str = ""
    ) -> None:
        self.store = Store(seed, now)
        self.now = now
        self.kinds = {kind.resource: kind for kind in (*BUILT_IN, *kinds)}
        self._served = {_collection(it): it for it in self.kinds}
        self.namespaces: set[str] = {"default"}

    def serve(self, kind: Kind) -> None:
        self.kinds[kind.resource] = kind
        self._served[_collection(kind.resource)] = kind.resource

    def withdraw(self, resource: Resource) -> None:
        """As if its CustomResourceDefinition were not installed."""
        self.kinds.pop(resource, None)
        self._served.pop(_collection(resource), None)

    def resource(self, plural: str) -> Resource:
        return next(it for it in self.kinds if it.plural == plural)

    def user(self, method: str, path: str, body: Json | None = None) -> Json:
        """A call of somebody else than the operator; a refusal is a fault of the test."""
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        text = None if body is None else json.dumps(body).encode()
        response = self.send(Request(method, path, (), text, content))
        assert response.status < 400, response.body
        document: Json = json.loads(response.body)
        return document

    # The seam

    def send(self, request: Request) -> Response:
        target = self._target(request.path)
        if target is None:
            return not_served()
        try:
            if ("watch", "1") in request.query:
                return Response(200, b"\n".join(self._watch(request, target[0], target[1])))
            return self._answer(request, *target)
        except Refused as refused:
            return refused.response

    def stream(self, request: Request) -> Iterator[bytes]:
        """Everything that is there; then a bookmark, and the watch ends: nothing here waits."""
        target = self._target(request.path)
        if target is None:
            yield not_served().body
            return
        try:
            yield from self._watch(request, target[0], target[1])
        except Refused as refused:
            yield refused.response.body

    def _target(self, path: str) -> tuple[Kind, str, str, str] | None:
        """Kind, namespace, name and subresource of a path; None where it is not served."""
        parts = path.strip("/").split("/")
        base, rest = (parts[:2], parts[2:]) if parts[0] == "api" else (parts[:3], parts[3:])
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        resource = self._served.get("/".join([*base, *rest[:1]]))
        if resource is None:
            return None
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        kind = self.kinds[resource]
        if subresource and not (subresource == "status" and kind.status_subresource):
            return None
        return kind, namespace, name, subresource

    def _answer(self, request: Request, kind: Kind, namespace: str, name: str, subresource: str) -> Response:
        query = dict(request.query)
        match request.method, bool(name):
            case "GET", True:
                return Response(200, self._present(kind, (namespace, name)).text)
            case "GET", False:
                return self._list(kind, namespace, query)
            case "POST", False:
                return self._create(kind, namespace, _json(request), query)
            case "PUT", True:
                return self._replace(kind, (namespace, name), _json(request), subresource, query)
            case "PATCH", True:
                return self._patch(kind, (namespace, name), request, subresource, query)
            case "DELETE", True:
                return self._delete(kind, (namespace, name), _json(request) if request.body else {})
        raise Refused(405, "MethodNotAllowed", "the server does not allow this method", {})

    # Reading

    def _present(self, kind: Kind, name: Name) -> Stored:
        stored = self.store.get(kind.resource, name)
        if stored is None:
            raise not_found(kind.resource, name[1])
        return stored

    def _list(self, kind: Kind, namespace: str, query: dict[str, str]) -> Response:
        version, start = self.store.version, ("", "")
        if token := query.get("continue", ""):
            version, start = _read_token(token)
            if version < self.store.compacted:
                raise expired(
                    "The provided continue parameter is too old to display a consistent list result."
                )
        matches = _matcher(query)
        objects = self.store.at(kind.resource, version)
        names = sorted(
            name
            for name, it in objects.items()
            if name > start and namespace in ("", name[0]) and matches(it.document)
        )
        limit = int(query.get("limit") or 0) or len(names)
        metadata: Json = {"resourceVersion": str(version)}
        if len(names) > limit:
            metadata["continue"] = _token(version, names[limit - 1])
            if not (query.get("labelSelector") or query.get("fieldSelector")):
                metadata["remainingItemCount"] = len(names) - limit
        resource = kind.resource
        head = {"apiVersion": resource.api_version, "kind": f"{resource.kind}List", "metadata": metadata}
        items = b",".join(objects[name].text for name in names[:limit])
        text = encode(head)
        return Response(200, text[:-1] + b',"items":[' + items + b"]}")

    def _watch(self, request: Request, kind: Kind, namespace: str) -> Iterator[bytes]:
        query = dict(request.query)
        matches = _matcher(query)
        given = query.get("resourceVersion", "")
        if given and not given.isdigit():
            raise bad_request(f"Invalid value: {given!r}")
        version = int(given or 0)
        if not version:
            version = self.store.version
            for name, stored in sorted(self.store.of(kind.resource).items()):
                if namespace in ("", name[0]) and matches(stored.document):
                    yield _event("ADDED", stored.text)
        elif version + 1 < self.store.compacted:
            error = expired("The resourceVersion for the provided watch is too old.")
            yield _event("ERROR", error.response.body)
            return
        for change in self.store.since(version, kind.resource):
            if namespace in ("", change.name[0]):
                event = seen_as(change, matches)
                if event:
                    yield _event(event, change.after.text)
        if query.get("allowWatchBookmarks") in ("1", "true"):
            yield _event("BOOKMARK", json.dumps(self.bookmark(kind.resource)).encode())

    def bookmark(self, resource: Resource) -> Json:
        metadata = {"resourceVersion": str(self.store.version)}
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}

    # Writing

    def _time(self) -> str:
        return times.written(self.now())

    def _create(self, kind: Kind, namespace: str, body: Json, query: dict[str, str]) -> Response:
        if namespace not in self.namespaces:
            raise not_found(NAMESPACES, namespace)
        body = _of_kind(kind, body)
        metadata = body.get("metadata") or {}
        if metadata.get("namespace") not in (None, "", namespace):
            raise bad_request("the namespace of the provided object does not match the namespace sent")
        _strict(kind, body, query)
        name = (namespace, metadata.get("name", ""))
        if metadata.get("resourceVersion"):
            raise Refused(500, "", "resourceVersion should not be set on objects to be created", {})
        new = writing.created(kind, body, namespace, "", self._time())
        writing.check(kind, new, None)
        if self.store.get(kind.resource, name):
            raise already_exists(kind.resource, name[1])
        new["metadata"]["uid"] = self.store.new_uid(kind.resource, name)
        if "dryRun" in query:
            return found(new, 201)
        return Response(201, self.store.put(kind.resource, name, new).text)

    def _replace(
        self, kind: Kind, name: Name, body: Json, subresource: str, query: dict[str, str]
    ) -> Response:
        body = _of_kind(kind, body)
        metadata = body.get("metadata") or {}
        if metadata.get("name", "") != name[1]:
            raise bad_request(f"the name of the object ({metadata.get('name')}) does not match the URL's")
        if kind.created_by_update and self.store.get(kind.resource, name) is None:
            return self._create(kind, name[0], body, query)
        old = self._present(kind, name)
        _strict(kind, body, query)
        writing.check_version(kind, old.document, body, patch=False)
        return self._update(kind, name, old, body, subresource)

    def _patch(
        self, kind: Kind, name: Name, request: Request, subresource: str, query: dict[str, str]
    ) -> Response:
        old = self._present(kind, name)
        operations = _json(request)
        if request.content_type == "application/merge-patch+json":
            body = patches.merge(old.document, operations)
        elif request.content_type == "application/json-patch+json":
            try:
                body = patches.apply(old.document, operations)
            except patches.PatchRefused:
                said = "the server rejected our request due to an error in our request"
                raise Refused(422, "Invalid", said, {}) from None
        else:
            raise Refused(415, "UnsupportedMediaType", "the body of the request was in an unknown format", {})
        _strict(kind, body, query)
        if body["metadata"].get("name") != name[1]:
            raise bad_request("the name of the object does not match the URL's")
        writing.check_version(kind, old.document, body, patch=True)
        return self._update(kind, name, old, body, subresource)

    def _update(self, kind: Kind, name: Name, old: Stored, body: Json, subresource: str) -> Response:
        new = writing.updated(kind, old.document, body, subresource)
        writing.check(kind, new, old.document)
        if new == old.document:
            return Response(200, old.text)
        metadata = new["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and not kind.graceful:
            self.store.remove(kind.resource, name)  # watches see the version before
            return found(new)
        return Response(200, self.store.put(kind.resource, name, new).text)

    def _delete(self, kind: Kind, name: Name, options: Json) -> Response:
        old = self._present(kind, name)
        for field, wanted in (options.get("preconditions") or {}).items():
            present = old.document["metadata"][field]
            if wanted and wanted != present:
                label = "UID" if field == "uid" else "ResourceVersion"
                stated = f"{label} in precondition: {wanted}, {label} in object meta: {present}"
                why = f"Precondition failed: {stated}"
                raise conflict(kind.resource, name[1], why, shown=kind.resource.kind)
        return self.end(kind, name, old, options)

    def end(self, kind: Kind, name: Name, old: Stored, options: Json) -> Response:
        metadata = old.document["metadata"]
        finalizers = list(metadata.get("finalizers") or ())
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(
            options.get("propagationPolicy", "")
        )
        if extra and extra not in finalizers:
            finalizers.append(extra)
        grace = _grace(kind, old.document, options)
        if not finalizers and grace == 0:
            last = self.store.remove(kind.resource, name)
            if kind.returned_when_deleted:
                return Response(200, last.text)
            details = {**not_found(kind.resource, name[1]).document["details"], "uid": metadata["uid"]}
            return found(
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Success",
                    "details": details,
                }
            )
        new = dict(metadata)
        if finalizers:
            new["finalizers"] = finalizers
        if "deletionTimestamp" not in metadata:
            new["deletionTimestamp"] = times.written(self.now() + grace)
            new["deletionGracePeriodSeconds"] = grace
            if kind.has_generation:
                new["generation"] = metadata.get("generation", 0) + 1
        if new == metadata:
            return Response(200, old.text)
        return Response(200, self.store.put(kind.resource, name, {**old.document, "metadata": new}).text)


def seen_as(change: Change, matches: Callable[[Json], bool]) -> str:
    """The type of the event that a watch with a selector gets; empty: none."""
    was = change.before is not None and matches(change.before.document)
    now = change.type != "DELETED" and matches(change.after.document)
    if now:
        return "MODIFIED" if was else "ADDED"
    return "DELETED" if was else ""


def _collection(resource: Resource) -> str:
    return resource.path().strip("/")


def _of_kind(kind: Kind, body: Json) -> Json:
    """With the kind's own apiVersion and kind, which a built-in kind's body may lack."""
    if kind.custom or body.get("kind"):
        writing.check_kind(kind.resource, body)
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **body}


def _strict(kind: Kind, body: Json, query: dict[str, str]) -> None:
    if query.get("fieldValidation") == "Strict" and kind.schema is not None:
        content = {key: value for key, value in body.items() if key not in ("metadata", "apiVersion", "kind")}
        unknown = [
            f'unknown field "{path}"' for path in structural.unknown_fields(dict(kind.schema), content)
        ]
        if unknown:
            message = f"strict decoding error: {', '.join(unknown)}"
            raise bad_request(f"{kind.resource.kind} in version ... cannot be handled: {message}")


def _json(request: Request) -> Any:
    try:
        return json.loads(request.body or b"")
    except ValueError:
        raise bad_request("the object provided is unrecognized: not JSON") from None


def _matcher(query: dict[str, str]) -> Callable[[Json], bool]:
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    by_label, by_field = labels_match(labels), fields_match(fields)
    return lambda document: by_label(document) and by_field(document)


def _event(kind: str, text: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + text + b"}"


def _token(version: int, last: Name) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *last]).encode()).decode()


def _read_token(token: str) -> tuple[int, Name]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise bad_request("continue key is not valid") from None
    return version, (namespace, name)


def _grace(kind: Kind, document: Json, options: Json) -> int:
    """Seconds until the kubelet, which says so with a grace of 0, has ended the pod."""
    spec = document.get("spec") or {}
    ended = (document.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if not kind.graceful or not spec.get("nodeName") or ended:
        return 0
    given = options.get("gracePeriodSeconds")
    return int(spec.get("terminationGracePeriodSeconds", 30) if given is None else given)
