"""The objects of one kind as the server was last seen to hold them. No thread and no call in here.

Objects are kept as compressed JSON beside the few fields that are looked up: 10,000 as dicts would be
173 MiB. Resource versions of one kind may be compared (KEP-5504), which tells repeated events from new
ones and whether a write of ours has come back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from rl_operator.runtime.api import WatchEvent
from rl_operator.runtime.packing import Packing

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name."""
PRUNE_WRITES = 1000
Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class Indexed:
    """What is known of an object without reading it. ``belongs_to``: the key to wake when it changes."""

    key: Key
    uid: str
    resource_version: int
    owner_uid: str = ""
    belongs_to: Key | None = None
    facts: Any = None  # a few more fields, as the kind's index function chose them


class ChangeKind(StrEnum):
    """What became of an object."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between what was known and what is. A deletion carries the last known object."""

    kind: ChangeKind
    indexed: Indexed
    previous: Indexed | None
    _packed: bytes
    _packing: Packing

    def read(self) -> Object:
        return self._packing.unpack(self._packed)


@dataclass(frozen=True, slots=True)
class _Entry:
    indexed: Indexed
    packed: bytes


class Cache:
    """Thread-safe. ``index`` names what is to be known of an object without reading it.

    ``namespace`` in `replace` and `apply` is that of the list or watch, None where it spans all: each has
    resource versions of its own.
    """

    def __init__(self, index: Callable[[Object], Indexed]) -> None:
        self._index = index
        self._packing = Packing()
        self._lock = threading.RLock()
        self._entries: dict[Key, _Entry] = {}
        self._by_owner: dict[str, set[Key]] = {}
        self._by_group: dict[Key, set[Key]] = {}
        self._seen: dict[str | None, int] = {}  # newest resource version, by namespace watched
        self._written: dict[Key, int] = {}
        self.stale_skips = 0  # how often `caught_up` said no

    def replace(
        self, items: Iterable[Object], resource_version: str, namespace: str | None = None
    ) -> list[Change]:
        """Take a whole list, and tell what differs. Nothing changes when ``items`` raises midway."""
        listed = {entry.indexed.key: entry for entry in map(self._entry, items)}
        with self._lock:
            gone = [key for key in self._keys_of(namespace) if key not in listed]
            changes = [change for key in gone for change in self._remove(key)]
            for entry in listed.values():
                changes += self._put(entry)
            self._seen[namespace] = int(resource_version)
        return changes

    def apply(self, event: WatchEvent, namespace: str | None = None) -> list[Change]:
        """Take one event of a watch. One that was taken before changes nothing."""
        version = int(event.object["metadata"]["resourceVersion"])
        with self._lock:
            if version <= self._seen.get(namespace, -1):
                return []
            self._seen[namespace] = version
            if event.type == "BOOKMARK":
                return []
            entry = self._entry(event.object)
            if event.type == "DELETED":
                return self._remove(entry.indexed.key, entry)
            return self._put(entry)

    def take(self, document: Object) -> None:
        """An object as the server has just shown it; its watch may be late to do so."""
        with self._lock:
            self._put(self._entry(document))

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """The server says that this object is gone; its watch may be late to say so."""
        with self._lock:
            held = self._entries.get((namespace, name))
            if held is not None and held.indexed.uid == uid:
                self._remove((namespace, name))

    def get(self, namespace: str, name: str) -> Object | None:
        """A copy of one's own, parsed now."""
        packed = self.packed(namespace, name)
        return self.read(packed) if packed is not None else None

    def packed(self, namespace: str, name: str) -> bytes | None:
        """The object for `read`; equal ones are of equal content."""
        with self._lock:
            entry = self._entries.get((namespace, name))
        return entry.packed if entry is not None else None

    def packed_of(self, key: Key) -> list[bytes]:
        """As `of`, for `read`."""
        with self._lock:
            return [self._entries[it].packed for it in sorted(self._by_group.get(key, ()))]

    def read(self, packed: bytes) -> Object:
        """A copy of one's own, of an object of this cache."""
        return self._packing.unpack(packed)

    def newest(self, namespace: str, name: str) -> str | None:
        """The resource version of the object that `get` gives."""
        with self._lock:
            entry = self._entries.get((namespace, name))
        return str(entry.indexed.resource_version) if entry is not None else None

    def owned_by(self, uid: str) -> list[Object]:
        """Objects whose controlling owner has this uid, by name."""
        with self._lock:
            packed = [self._entries[key].packed for key in sorted(self._by_owner.get(uid, ()))]
        return [self._packing.unpack(it) for it in packed]

    def of(self, key: Key) -> list[Object]:
        """Objects that belong to ``key``, by name; not the one that is called so itself."""
        return [self.read(it) for it in self.packed_of(key)]

    def indexed(self) -> list[Indexed]:
        """Of every object, as of now."""
        with self._lock:
            return [entry.indexed for entry in self._entries.values()]

    def __len__(self) -> int:
        return len(self._entries)

    def wrote(self, key: Key, resource_version: str) -> None:
        """An object of this kind that belongs to ``key`` was written, and got this resource version."""
        with self._lock:
            self._written[key] = max(self._written.get(key, 0), int(resource_version))
            if len(self._written) > PRUNE_WRITES:
                self._written = {it: version for it, version in self._written.items() if self._awaits(it)}

    def caught_up(self, key: Key) -> bool:
        """Whether everything that was written for ``key`` has come back by the watch."""
        with self._lock:
            if self._awaits(key):
                self.stale_skips += 1
                return False
            self._written.pop(key, None)
            return True

    def _awaits(self, key: Key) -> bool:
        return self._seen.get(key[0], self._seen.get(None, -1)) < self._written.get(key, -1)

    def _keys_of(self, namespace: str | None) -> Iterator[Key]:
        return (key for key in self._entries if namespace is None or key[0] == namespace)

    def _entry(self, document: Object) -> _Entry:
        """The one that is held already where it is of the same version: a relist then costs little."""
        indexed = self._index(document)
        held = self._entries.get(indexed.key)
        if held is not None and _same(held.indexed, indexed):
            return held
        document["metadata"].pop("managedFields", None)
        return _Entry(indexed, self._packing.pack(document))

    def _put(self, entry: _Entry) -> list[Change]:
        key = entry.indexed.key
        held = self._entries.get(key)
        if held is None:
            self._insert(entry)
            return [self._change(ChangeKind.ADDED, entry, None)]
        if held.indexed.uid != entry.indexed.uid:
            return [*self._remove(key), *self._put(entry)]
        if entry.indexed.resource_version <= held.indexed.resource_version:
            return []  # it was taken from the server meanwhile
        self._unlink(held.indexed)
        self._insert(entry)
        return [self._change(ChangeKind.MODIFIED, entry, held)]

    def _remove(self, key: Key, last: _Entry | None = None) -> list[Change]:
        """``last``: the object as its deletion showed it; of another uid, it speaks of another object."""
        held = self._entries.get(key)
        if held is None or (last is not None and last.indexed.uid != held.indexed.uid):
            return []
        del self._entries[key]
        self._unlink(held.indexed)
        return [self._change(ChangeKind.DELETED, last or held, held)]

    def _change(self, kind: ChangeKind, shown: _Entry, before: _Entry | None) -> Change:
        previous = before.indexed if before is not None else None
        return Change(kind, shown.indexed, previous, shown.packed, self._packing)

    def _insert(self, entry: _Entry) -> None:
        indexed = entry.indexed
        self._entries[indexed.key] = entry
        if indexed.owner_uid:
            self._by_owner.setdefault(indexed.owner_uid, set()).add(indexed.key)
        if indexed.belongs_to not in (None, indexed.key):
            self._by_group.setdefault(indexed.belongs_to, set()).add(indexed.key)

    def _unlink(self, indexed: Indexed) -> None:
        _discard(self._by_owner, indexed.owner_uid, indexed.key)
        if indexed.belongs_to is not None:
            _discard(self._by_group, indexed.belongs_to, indexed.key)


def _same(one: Indexed, other: Indexed) -> bool:
    return one.uid == other.uid and one.resource_version == other.resource_version


def _discard(groups: dict[Group, set[Key]], group: Group, key: Key) -> None:
    members = groups.get(group)
    if members is not None:
        members.discard(key)
        if not members:
            del groups[group]
