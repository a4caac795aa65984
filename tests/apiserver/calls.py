"""Calls to an API server, the model or a real one, and what is seen of the answers: what varies is masked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rl_operator.runtime.resources import PODS, Resource
from rl_operator.runtime.transport import Request, Transport

Json = dict[str, Any]
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
MASKED = {
    "uid": "UID",
    "resourceVersion": "RV",
    "creationTimestamp": "TIME",
    "deletionTimestamp": "TIME",
    "namespace": "NS",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and document as they came."""

    code: int
    document: Json

    @property
    def version(self) -> str:
        return str(self.document["metadata"]["resourceVersion"])

    @property
    def uid(self) -> str:
        return str(self.document["metadata"]["uid"])

    @property
    def generation(self) -> Any:
        return self.document["metadata"].get("generation")

    @property
    def seen(self) -> Any:
        return self.code, normal(self.document)


class Place:
    """One server and a namespace of its own on it. ``compact``: make it forget old versions."""

    def __init__(self, transport: Transport, namespace: str, compact: Callable[[], object]) -> None:
        self.transport = transport
        self.namespace = namespace
        self.compact = compact

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        **query: str,
    ) -> Answer:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        named = tuple((name.rstrip("_"), value) for name, value in query.items())
        response = self.transport.send(Request(method, path, named, data, content_type))
        try:
            document = json.loads(response.body)
        except ValueError:
            document = {"text": response.body.decode()}
        return Answer(response.status, document)

    def path(self, resource: Resource, name: str | None = None, subresource: str = "") -> str:
        return resource.path(self.namespace, name, subresource)

    def create(self, resource: Resource, body: Json, **query: str) -> Answer:
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return self.call("POST", self.path(resource), full, **query)

    def get(self, resource: Resource, name: str) -> Answer:
        return self.call("GET", self.path(resource, name))

    def put(self, resource: Resource, name: str, body: Json, subresource: str = "", **query: str) -> Answer:
        return self.call("PUT", self.path(resource, name, subresource), body, **query)

    def merge(self, resource: Resource, name: str, patch: object, subresource: str = "") -> Answer:
        return self.call("PATCH", self.path(resource, name, subresource), patch, MERGE)

    def json_patch(self, resource: Resource, name: str, *operations: Json, subresource: str = "") -> Answer:
        return self.call("PATCH", self.path(resource, name, subresource), list(operations), JSON_PATCH)

    def delete(self, resource: Resource, name: str, **options: object) -> Answer:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None
        return self.call("DELETE", self.path(resource, name), body)

    def list(self, resource: Resource, **query: str) -> Answer:
        return self.call("GET", self.path(resource), **query)

    def watch(self, resource: Resource, version: str, *, seconds: int = 1, **query: str) -> list[Any]:
        """Type and object of each event until the watch ends, bookmarks left out unless asked for."""
        named = (("watch", "1"), ("resourceVersion", version), ("timeoutSeconds", str(seconds)))
        request = Request("GET", self.path(resource), (*named, *query.items()), timeout_seconds=30)
        return [normal(json.loads(line)) for line in self.transport.stream(request)]


def normal(document: Any) -> Any:
    """Uids, versions and times masked; of a Status, what programs go by; of a pod, its metadata and phase."""
    if isinstance(document, dict) and document.get("kind") == "Status":
        return _status(document)
    if isinstance(document, dict):
        if document.get("kind") == PODS.kind and "spec" in document:
            phase = document.get("status", {}).get("phase")
            return {"metadata": _metadata(document["metadata"]), "phase": phase}
        return {
            key: _metadata(value) if key == "metadata" and isinstance(value, dict) else normal(value)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [normal(each) for each in document]
    return document


def _metadata(metadata: Json) -> Json:
    kept = {key: value for key, value in metadata.items() if key not in ("managedFields", "continue")}
    if metadata.get("continue"):
        kept["continue"] = "TOKEN"
    owners = (
        {"ownerReferences": list(map(normal, kept["ownerReferences"]))} if "ownerReferences" in kept else {}
    )
    return {key: MASKED.get(key, value) for key, value in kept.items()} | owners


def _status(document: Json) -> Json:
    details = document.get("details") or {}
    causes = sorted(set(_causes(details)))
    named = {key: details[key] for key in ("name", "group", "kind") if details.get(key)}
    shown = {key: document[key] for key in ("status", "reason", "code") if document.get(key)}
    return shown | ({"details": named} if named else {}) | ({"causes": causes} if causes else {})


def _causes(details: Json) -> Iterator[tuple[str, str]]:
    for cause in details.get("causes") or ():
        yield cause.get("reason", ""), cause.get("field", "")
