"""Objects, versions and the log of changes: etcd, as the API model has it.

A stored document is never changed in place, so that versions share what they have in common.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from rl_operator.runtime.resources import Resource
from tests.simulation.answers import encode

Json = dict[str, Any]
Name = tuple[str, str]  # namespace and name
FIRST_VERSION = 1
_version = attrgetter("version")


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


def after(log: list[Change], version: int) -> list[Change]:
    """Mostly there are none, and everybody keeps asking."""
    if not log or log[-1].version <= version:
        return []
    return log[bisect_right(log, version, key=_version) :]


class Store:
    """``seed`` goes into uids, which are a function of an object's kind, name and how often it was made."""

    def __init__(self, seed: str = "", now: Callable[[], float] = lambda: 0.0) -> None:
        self._now = now
        self.version = FIRST_VERSION
        self.compacted = 0
        self.log: list[Change] = []
        self.come_or_gone = 0  # version of the last change that made or removed an object
        self._logs: dict[Resource, list[Change]] = {}
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
        self._note(Change(self.version, kind, resource, name, before, stored, self._now()))
        return stored

    def remove(self, resource: Resource, name: Name) -> Stored:
        before = self.of(resource).pop(name)
        stored = self._numbered(before.document)
        self._note(Change(self.version, "DELETED", resource, name, before, stored, self._now()))
        return stored

    def since(self, version: int, resource: Resource | None = None) -> list[Change]:
        """After that version, of one kind or of all."""
        return after(self.log if resource is None else self.log_of(resource), version)

    def log_of(self, resource: Resource) -> list[Change]:
        """The changes of a kind, also those to come."""
        return self._logs.setdefault(resource, [])

    def compact(self) -> None:
        """Forgets every version before the present one."""
        self.compacted = self.version

    def at(self, resource: Resource, version: int) -> dict[Name, Stored]:
        """The objects of a kind as they were."""
        objects = dict(self.of(resource))
        for change in reversed(self.since(version, resource)):
            if change.before is None:
                objects.pop(change.name, None)
            else:
                objects[change.name] = change.before
        return objects

    def _note(self, change: Change) -> None:
        self.log.append(change)
        self.log_of(change.resource).append(change)
        if change.type != "MODIFIED":
            self.come_or_gone = change.version

    def _numbered(self, document: Json) -> Stored:
        self.version += 1
        metadata = {**document["metadata"], "resourceVersion": str(self.version)}
        return Stored({**document, "metadata": metadata}, self.version)
