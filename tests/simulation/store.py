"""Objects, versions and the log of changes: etcd, as the API model has it.

A stored document is never changed in place, so that versions share what they have in common.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rl_operator.runtime.resources import Resource
from tests.simulation.answers import encode

Json = dict[str, Any]
Name = tuple[str, str]  # namespace and name
FIRST_VERSION = 1


class Stored:
    """One version of an object; its text is made once."""

    __slots__ = ("_text", "document", "version")

    def __init__(self, document: Json, version: int) -> None:
        self.document = document
        self.version = version
        self._text: bytes | None = None

    @property
    def text(self) -> bytes:
        if self._text is None:
            self._text = encode(self.document)
        return self._text


@dataclass(frozen=True, slots=True)
class Change:
    """``before``: None for a created object. A deleted one's last version carries the deletion's number."""

    version: int
    type: str  # ADDED, MODIFIED, DELETED
    resource: Resource
    name: Name
    before: Stored | None
    after: Stored
    at: float  # epoch seconds


class Store:
    """``seed`` goes into uids, which are a function of an object's kind, name and how often it was made."""

    def __init__(self, seed: str = "", now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self.version = FIRST_VERSION
        self.compacted = 0
        self.log: list[Change] = []
        self.objects: dict[Resource, dict[Name, Stored]] = {}
        self._seed = seed
        self._made: Counter[tuple[Resource, Name]] = Counter()

    def get(self, resource: Resource, name: Name) -> Stored | None:
        return self.objects.get(resource, {}).get(name)

    def of(self, resource: Resource) -> dict[Name, Stored]:
        return self.objects.setdefault(resource, {})

    def new_uid(self, resource: Resource, name: Name) -> str:
        self._made[resource, name] += 1
        text = f"{self._seed}/{resource.plural}/{name[0]}/{name[1]}/{self._made[resource, name]}"
        digits = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def put(self, resource: Resource, name: Name, document: Json) -> Stored:
        """Writes the next version; its metadata gets the number."""
        before = self.get(resource, name)
        stored = self._numbered(document)
        self.of(resource)[name] = stored
        kind = "MODIFIED" if before else "ADDED"
        self.log.append(Change(self.version, kind, resource, name, before, stored, self._now()))
        return stored

    def remove(self, resource: Resource, name: Name) -> Stored:
        before = self.of(resource).pop(name)
        stored = self._numbered(before.document)
        self.log.append(Change(self.version, "DELETED", resource, name, before, stored, self._now()))
        return stored

    def since(self, version: int) -> Iterator[Change]:
        start = bisect_right(self.log, version, key=lambda change: change.version)
        for index in range(start, len(self.log)):
            yield self.log[index]

    def compact(self) -> None:
        """Forgets every version before the present one."""
        self.compacted = self.version

    def at(self, resource: Resource, version: int) -> dict[Name, Stored]:
        """The objects of a kind as they were."""
        objects = dict(self.of(resource))
        for change in reversed(list(self.since(version))):
            if change.resource == resource:
                if change.before is None:
                    objects.pop(change.name, None)
                else:
                    objects[change.name] = change.before
        return objects

    def _numbered(self, document: Json) -> Stored:
        self.version += 1
        metadata = {**document["metadata"], "resourceVersion": str(self.version)}
        return Stored({**document, "metadata": metadata}, self.version)
