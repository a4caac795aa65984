"""The cache against a dict: whatever was missed, it ends as the server is, and tells every difference."""

from __future__ import annotations

import copy
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator.caches import index_child, index_job
from rl_operator.runtime.api import WatchEvent
from rl_operator.runtime.cache import Cache, Change, ChangeKind

Json = dict[str, Any]
NAMES = st.sampled_from(["a", "b", "c"])


def thing(
    name: str, uid: str, version: int, namespace: str = "ns", owner: str = "", job: str = "", **spec: Any
) -> Json:
    metadata: Json = {
        "namespace": namespace,
        "name": name,
        "uid": uid,
        "resourceVersion": str(version),
        "managedFields": [{"manager": "someone"}],
    }
    if owner:
        metadata["ownerReferences"] = [
            {"kind": "Gate", "name": "other", "uid": "no"},
            {"kind": "RayCluster", "name": "cluster", "uid": owner, "controller": True},
        ]
    if job:
        metadata["labels"] = {"rlplatform.io/job": job}
    return {"metadata": metadata, "spec": spec}


def event(kind: str, document: Json) -> WatchEvent:
    return WatchEvent(kind, copy.deepcopy(document))


@dataclass
class Server:
    """The truth, and the events that led to it."""

    objects: dict[str, Json]
    events: list[WatchEvent]
    version: int = 0

    def put(self, name: str) -> None:
        self.version += 1
        kind = "MODIFIED" if name in self.objects else "ADDED"
        uid = self.objects[name]["metadata"]["uid"] if name in self.objects else f"uid-{self.version}"
        self.objects[name] = thing(name, uid, self.version)
        self.events.append(event(kind, self.objects[name]))

    def delete(self, name: str) -> None:
        gone = self.objects.pop(name, None)
        if gone is not None:
            self.version += 1
            gone["metadata"]["resourceVersion"] = str(self.version)
            self.events.append(event("DELETED", gone))

    def relist(self, cache: Cache) -> list[Change]:
        return cache.replace(copy.deepcopy(list(self.objects.values())), str(self.version))


STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete", "relist", "watch"]), NAMES), max_size=40)


class Listener:
    """Holds what it was told, and checks that each telling fits what came before. Name → uid."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def tell(self, changes: list[Change]) -> None:
        for change in changes:
            name, uid = change.indexed.key[1], change.indexed.uid
            assert change.read()["metadata"]["uid"] == uid
            if change.kind is ChangeKind.DELETED:
                assert self.known.pop(name) == uid
                continue
            assert (name in self.known) == (change.kind is ChangeKind.MODIFIED)
            assert self.known.get(name, uid) == uid
            self.known[name] = uid


@given(STEPS)
def test_after_any_losses_and_repeats_a_relist_makes_it_equal_and_every_difference_is_told(
    steps: list[tuple[str, str]],
) -> None:
    server, cache, listener = Server({}, []), Cache(index_child), Listener()
    taken = 0
    for step, name in [*steps, ("relist", "a")]:
        if step == "put":
            server.put(name)
        elif step == "delete":
            server.delete(name)
        elif step == "watch":
            for old in server.events[:taken]:
                assert cache.apply(copy.deepcopy(old)) == []
            for new in server.events[taken:]:
                listener.tell(cache.apply(copy.deepcopy(new)))
            taken = len(server.events)
            assert {it.key[1]: it.uid for it in cache.indexed()} == listener.known
        else:
            listener.tell(server.relist(cache))
            taken = len(server.events)  # what came before it is never seen as an event
    assert listener.known == {name: it["metadata"]["uid"] for name, it in server.objects.items()}
    for name, document in server.objects.items():
        assert cache.newest("ns", name) == document["metadata"]["resourceVersion"]


def test_a_second_relist_of_the_same_tells_nothing() -> None:
    cache = Cache(index_child)
    listed = [thing("a", "1", 5), thing("b", "2", 6)]
    assert [it.kind for it in cache.replace(copy.deepcopy(listed), "7")] == [ChangeKind.ADDED] * 2
    assert cache.replace(copy.deepcopy(listed), "9") == []


def test_an_object_of_the_same_name_with_another_uid_is_a_deletion_and_an_addition() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "old", 1, size=1)], "1")
    by_list = cache.replace([thing("a", "new", 3, size=2)], "4")
    by_event = cache.apply(event("MODIFIED", thing("a", "newest", 6, size=3)))
    for changes, gone, come in ((by_list, "old", "new"), (by_event, "new", "newest")):
        assert [(it.kind, it.indexed.uid) for it in changes] == [
            (ChangeKind.DELETED, gone),
            (ChangeKind.ADDED, come),
        ]
    assert by_list[0].read()["spec"] == {"size": 1}


def test_a_list_that_breaks_off_changes_nothing() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "1", 1)], "1")

    def broken() -> Iterator[Json]:
        yield thing("b", "2", 2)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.replace(broken(), "2")
    assert [it.key for it in cache.indexed()] == [("ns", "a")]


def test_managed_fields_are_left_out_and_every_reader_gets_a_copy() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "1", 1, size=1)], "1")
    mine = cache.get("ns", "a")
    assert mine is not None
    assert "managedFields" not in mine["metadata"]
    mine["spec"]["size"] = 2
    assert cache.get("ns", "a") == thing("a", "1", 1, size=1) | {
        "metadata": {
            key: value for key, value in thing("a", "1", 1)["metadata"].items() if key != "managedFields"
        }
    }
    assert cache.get("ns", "b") is None
    assert (cache.newest("ns", "a"), cache.newest("ns", "b")) == ("1", None)


def test_owners_and_jobs_are_found_and_follow_changes() -> None:
    cache = Cache(index_child)
    cache.replace([thing("p2", "2", 2, owner="c1", job="j"), thing("p1", "1", 1, owner="c1", job="j")], "3")
    names = [it["metadata"]["name"] for it in cache.owned_by("c1")]
    assert names == ["p1", "p2"] == [it["metadata"]["name"] for it in cache.of(("ns", "j"))]
    cache.apply(event("MODIFIED", thing("p1", "1", 4, owner="c2", job="k")))
    cache.apply(event("DELETED", thing("p2", "2", 5, owner="c1", job="j")))
    assert cache.owned_by("c1") == [] == cache.of(("ns", "j"))
    assert len(cache.owned_by("c2")) == 1 == len(cache.of(("ns", "k"))) == len(cache)
    assert cache.of(("elsewhere", "k")) == []


def test_a_late_deletion_of_an_earlier_object_leaves_the_present_one() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "new", 3)], "3")
    assert cache.apply(event("DELETED", thing("a", "old", 4))) == []
    assert len(cache) == 1


def test_writes_are_awaited_until_the_watch_has_passed_them() -> None:
    cache = Cache(index_child)
    cache.replace([], "10")
    key = ("ns", "job")
    assert cache.caught_up(key)
    cache.wrote(key, "12")
    cache.wrote(key, "11")
    assert not cache.caught_up(key)
    cache.apply(event("ADDED", thing("a", "1", 11)))
    assert not cache.caught_up(key)
    assert cache.caught_up(("ns", "another"))
    cache.apply(WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "12"}}))
    assert cache.caught_up(key)
    assert cache.stale_skips == 2


def test_namespaces_that_are_watched_apart_do_not_disturb_each_other() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "1", 5, namespace="one")], "50", "one")
    cache.replace([thing("a", "2", 6, namespace="two")], "20", "two")
    cache.wrote(("two", "job"), "30")
    assert not cache.caught_up(("two", "job"))
    assert len(cache.apply(event("MODIFIED", thing("a", "2", 40, namespace="two")), "two")) == 1
    assert cache.caught_up(("two", "job"))
    assert [it.kind for it in cache.replace([], "60", "one")] == [ChangeKind.DELETED]
    assert [it.key for it in cache.indexed()] == [("two", "a")]


def test_writes_of_jobs_that_are_never_asked_for_again_are_forgotten() -> None:
    cache = Cache(index_child)
    cache.replace([], "1")
    for number in range(3000):
        cache.apply(WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(number + 10)}}))
        cache.wrote(("ns", f"job-{number}"), str(number + 9))
    assert len(cache._written) <= 1001


def test_readers_and_the_watch_work_side_by_side() -> None:
    cache = Cache(index_child)
    cache.replace([thing("a", "1", 1, owner="o", job="j")], "1")
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(300):
                assert len(cache.owned_by("o")) <= 1
                cache.indexed()
                cache.get("ns", "a")
        except (AssertionError, KeyError, RuntimeError) as failure:
            failures.append(failure)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for version in range(2, 300):
        kind = "DELETED" if version % 2 else "ADDED"
        cache.apply(event(kind, thing("a", "1", version, owner="o", job="j")))
    for reader in readers:
        reader.join()
    assert failures == []


def large_job(number: int) -> Json:
    """About 5 KiB, with a status of every field."""
    conditions = [
        {
            "type": f"Type{each}",
            "status": "True",
            "reason": "Because",
            "message": f"{number * 7919 + each:x} " * 12,
        }
        for each in range(7)
    ]
    document = thing(f"job-{number}", f"{number:032x}", number + 1)
    env = [{"name": f"VARIABLE_{each}", "value": f"{(number + 1) * (each + 3):x}"} for each in range(40)]
    document["spec"] = {
        "algorithm": {"ppo": {}},
        "runtime": {"env": env},
        "note": f"{number * 31337:x}" * 100,
    }
    document["status"] = {"conditions": conditions, "progress": {"envSteps": number}}
    return document


def test_ten_thousand_jobs_of_five_kib_take_at_most_sixty_mib() -> None:
    cache = Cache(index_job)
    tracemalloc.start()
    try:
        cache.replace((large_job(number) for number in range(2000)), "3000")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache) == 2000
    assert held * 5 / 2**20 < 60


def test_what_the_server_has_shown_is_not_undone_by_what_the_watch_says_later() -> None:
    cache = Cache(index_job)
    cache.replace([thing("a", "1", 5), thing("b", "2", 6)], "6")
    cache.take(thing("a", "1", 9, seen="now"))
    assert cache.apply(event("MODIFIED", thing("a", "1", 8, seen="before"))) == []
    assert (cache.get("ns", "a") or {})["spec"] == {"seen": "now"}
    cache.forget("ns", "b", "another uid")
    assert cache.get("ns", "b") is not None
    cache.forget("ns", "b", "2")
    assert cache.get("ns", "b") is None
    assert cache.apply(event("DELETED", thing("b", "2", 10))) == []
    (change,) = cache.apply(event("MODIFIED", thing("a", "1", 11)))
    assert change.kind is ChangeKind.MODIFIED
