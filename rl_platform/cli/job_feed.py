"""What changes in a collection: a stream that outlives expired watches, restarts, broken connections."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rl_platform.cli.api_requests import Cluster, Query
from rl_platform.cli.cluster_errors import ApiRefusal, ClusterError, Expired

WATCH_SECONDS = 60  # then a new one: what a broken connection swallowed is noticed
SILENCE_SECONDS = 75.0
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
REFUSALS_IN_A_ROW = 8  # an API server that begins refuses for some seconds what it will allow
GONE_STATUS = 410


class ChangeKind(StrEnum):
    """What a change says."""

    PRESENT = "present"  # the object as it is now
    GONE = "gone"
    TROUBLE = "trouble"  # `error` says which; the feed goes on
    BACK = "back"  # the trouble is over
    BROKEN = "broken"  # `error` says why the feed has ended


@dataclass(frozen=True, slots=True)
class Change:
    """``document``: the object, for PRESENT and GONE."""

    kind: ChangeKind
    document: dict[str, Any] = field(default_factory=dict)
    error: ClusterError | None = None


class Feed:
    """The objects of one collection that a query selects, listed and then watched."""

    def __init__(self, cluster: Cluster, path: str, query: Query) -> None:
        self.cluster, self.path, self.query = cluster, path, query
        self._known: dict[str, dict[str, Any]] = {}
        self._version = ""

    def changes(self) -> Iterator[Change]:
        """For ever. States may be repeated or skipped; the last one of every object always comes.

        Raises ClusterError where the first look fails, or the API server goes on to refuse.
        """
        yield from self._look()
        failures = refusals = 0
        while True:
            try:
                if not self._version:
                    found = self._look()
                    if failures > 1:
                        yield Change(ChangeKind.BACK)
                    yield from found
                failures = refusals = 0
                yield from self._watch()
            except Expired:
                self._version = ""
            except ClusterError as error:
                self._version = ""
                failures += 1
                refusals += isinstance(error, ApiRefusal) and error.status < 500
                if refusals >= REFUSALS_IN_A_ROW:
                    raise
                if failures == 2:  # one broken connection is nothing to speak of
                    yield Change(ChangeKind.TROUBLE, error=error)
                time.sleep(min(PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS))

    def _look(self) -> list[Change]:
        """The list: what is there, and what has gone since it was last seen."""
        found, self._version = self.cluster.items(self.path, self.query)
        before, self._known = self._known, {each["metadata"]["uid"]: each for each in found}
        gone = [Change(ChangeKind.GONE, each) for uid, each in before.items() if uid not in self._known]
        return [*gone, *(Change(ChangeKind.PRESENT, each) for each in found)]

    def _watch(self) -> Iterator[Change]:
        """Until the server ends it. Raises Expired, and ApiRefusal for any other error in the stream."""
        query = (
            *self.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(WATCH_SECONDS)),
        )
        for line in self.cluster.lines(self.path, query, SILENCE_SECONDS):
            event = _event(line)
            document = event["object"]
            if event["type"] == "ERROR":
                status = int(document.get("code") or 500)
                kind = Expired if status == GONE_STATUS else ApiRefusal
                raise kind(str(document.get("message", "the watch failed")), status)
            self._version = document["metadata"]["resourceVersion"]
            uid = document["metadata"].get("uid", "")
            if event["type"] == "DELETED":
                self._known.pop(uid, None)
                yield Change(ChangeKind.GONE, document)
            elif event["type"] != "BOOKMARK":
                self._known[uid] = document
                yield Change(ChangeKind.PRESENT, document)


def _event(line: bytes) -> dict[str, Any]:
    """Raises ApiRefusal for a line that is cut off."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise ApiRefusal(f"the watch broke off: {error}", 500) from error
    return dict(event)


def feed_into(changes: queue.SimpleQueue[tuple[str, Change]], source: str, feed: Feed) -> None:
    """Put a feed's changes, marked with ``source``, from a thread that ends with the process."""

    def put() -> None:
        try:
            for change in feed.changes():
                changes.put((source, change))
        except ClusterError as error:
            changes.put((source, Change(ChangeKind.BROKEN, error=error)))

    threading.Thread(target=put, name=f"feed of {source}", daemon=True).start()
