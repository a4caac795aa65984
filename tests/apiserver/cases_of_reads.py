"""Contract cases: get, list, paging, selectors, watch, bookmarks, expiry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rl_operator.runtime.resources import CONFIG_MAPS, CORE_EVENTS, PODS, TRAINING_JOBS, Resource
from tests.apiserver.calls import Answer, Json, Place
from tests.apiserver.cases_of_deletes import FINALIZER
from tests.apiserver.cases_of_writes import made
from tests.apiserver.sample_crd import SAMPLES

UNSERVED = Resource("testing.rlplatform.io", "v1", "nothings", "Nothing")


def names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.document["items"]]


def get_absent(at: Place) -> Any:
    return [at.get(kind, "none").seen for kind in (SAMPLES, CONFIG_MAPS, PODS)]


def kind_not_served(at: Place) -> Any:
    return at.get(UNSERVED, "it").document, at.list(UNSERVED).document


def list_of_nothing(at: Place) -> Any:
    answer = at.list(SAMPLES)
    return answer.seen, int(answer.version) > 0


def list_is_sorted(at: Place) -> Any:
    for name in ("b", "c", "a"):
        made(at, SAMPLES, name)
    answer = at.list(SAMPLES)
    return names(answer), int(answer.version) >= max(int(at.get(SAMPLES, name).version) for name in "abc")


def list_items(at: Place) -> Any:
    made(at, SAMPLES)
    return at.list(SAMPLES).document["items"][0]["spec"]


def list_in_pages(at: Place) -> Any:
    for index in range(5):
        made(at, SAMPLES, f"p{index}")
    seen: list[Any] = []
    query: dict[str, str] = {"limit": "2"}
    version = ""
    while True:
        page = at.list(SAMPLES, **query)
        metadata = page.document["metadata"]
        version = version or page.version
        seen.append((names(page), metadata.get("remainingItemCount"), page.version == version))
        if not metadata.get("continue"):
            return seen
        made(at, SAMPLES, f"q{len(seen)}")  # not part of the list that has begun
        query = {"limit": "2", "continue": metadata["continue"]}


def pages_with_a_selector(at: Place) -> Any:
    for index in range(3):
        made(at, SAMPLES, f"p{index}", labels={"a": "1"})
    page = at.list(SAMPLES, limit="2", labelSelector="a=1")
    return names(page), page.document["metadata"].get("remainingItemCount")


def nonsense_continue(at: Place) -> Any:
    return at.list(SAMPLES, limit="2", continue_="nonsense").code


SELECTORS = ("a=1", "a==1", "a!=1", "a", "!a", "a in (1,2)", "a notin (1)", "a=1,b=2", "a=3", "")


def label_selectors(at: Place) -> Any:
    made(at, SAMPLES, "one", labels={"a": "1", "b": "2"})
    made(at, SAMPLES, "two", labels={"a": "2"})
    made(at, SAMPLES, "none")
    return [names(at.list(SAMPLES, labelSelector=each)) for each in SELECTORS]


def bad_selector(at: Place) -> Any:
    return at.list(SAMPLES, labelSelector="a=b=c").code, at.list(SAMPLES, labelSelector="-x=1").code


def field_selectors(at: Place) -> Any:
    made(at, SAMPLES, "one")
    made(at, SAMPLES, "two")
    return [
        names(at.list(SAMPLES, fieldSelector=each)) for each in ("metadata.name=one", "metadata.name!=one")
    ]


def watch_from_a_list(at: Place) -> Any:
    made(at, SAMPLES, "before")
    version = at.list(SAMPLES).version
    made(at, SAMPLES)
    at.merge(SAMPLES, "it", {"spec": {"count": 2}})
    at.merge(SAMPLES, "it", {"status": {"count": 2}}, "status")
    at.delete(SAMPLES, "it")
    return at.watch(SAMPLES, version)


def watch_in_order(at: Place) -> Any:
    version = at.list(SAMPLES).version
    for index in range(10):
        made(at, SAMPLES, f"p{9 - index}")
    for index in range(10):
        at.merge(SAMPLES, f"p{index}", {"spec": {"count": index}})
    return [(it["type"], it["object"]["metadata"]["name"]) for it in at.watch(SAMPLES, version)]


def watch_of_no_change(at: Place) -> Any:
    first = made(at, SAMPLES)
    at.merge(SAMPLES, "it", {"spec": {"count": 1}})
    at.merge(SAMPLES, "it", {})
    return at.watch(SAMPLES, first.version)


def watch_with_a_selector(at: Place) -> Any:
    version = at.list(SAMPLES).version
    made(at, SAMPLES, labels={"a": "1"})
    for label in ("2", "1"):
        at.merge(SAMPLES, "it", {"metadata": {"labels": {"a": label}}})
    at.delete(SAMPLES, "it")
    return [it["type"] for it in at.watch(SAMPLES, version, labelSelector="a=1")]


def watch_of_finalizers(at: Place) -> Any:
    version = made(at, SAMPLES, finalizers=[FINALIZER]).version
    at.delete(SAMPLES, "it")
    at.merge(SAMPLES, "it", {"metadata": {"finalizers": None}})
    return at.watch(SAMPLES, version)


def watch_without_version(at: Place) -> Any:
    made(at, SAMPLES, "a")
    made(at, SAMPLES, "b")
    return [(it["type"], it["object"]["metadata"]["name"]) for it in at.watch(SAMPLES, "")]


def watch_of_another_namespace(at: Place) -> Any:
    version = at.list(SAMPLES).version
    made(at, SAMPLES)
    path = SAMPLES.path("default")
    elsewhere = at.call("GET", path, watch="1", resourceVersion=version, timeoutSeconds="1")
    return elsewhere.document


def deleted_version_is_newer(at: Place) -> Any:
    """The last event carries the version of the deletion: a cache that keeps it goes on from there."""
    first = made(at, SAMPLES)
    at.delete(SAMPLES, "it")
    answer = at.call("GET", at.path(SAMPLES), watch="1", resourceVersion=first.version, timeoutSeconds="1")
    event = answer.document
    return event["type"], int(event["object"]["metadata"]["resourceVersion"]) > int(first.version)


def bookmark(at: Place) -> Any:
    """A server sends one a minute, and one after the objects that a watch asks to begin with."""
    made(at, SAMPLES)
    begin = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    events = at.watch(SAMPLES, "", allowWatchBookmarks="true", **begin)
    version = events[-1]["object"]["metadata"]["resourceVersion"]
    return [it["type"] for it in events], version


def watch_from_nonsense(at: Place) -> Any:
    query = {"watch": "1", "resourceVersion": "nonsense", "timeoutSeconds": "1"}
    return at.call("GET", at.path(SAMPLES), **query).code >= 400


def _event(at: Place, name: str) -> Answer:
    about = {"kind": "Pod", "namespace": at.namespace, "name": "it"}
    return at.create(CORE_EVENTS, {"metadata": {"name": name}, "involvedObject": about, "reason": "Test"})


def watch_too_old(at: Place) -> Any:
    """Events have no watch cache on a server, so its store answers."""
    version = _event(at, "a").version
    for name in ("b", "c"):
        _event(at, name)
    at.compact()
    return at.watch(CORE_EVENTS, version)


def watch_old_enough(at: Place) -> Any:
    version = _event(at, "a").version
    for name in ("b", "c"):
        _event(at, name)
    return [it["object"]["metadata"]["name"] for it in at.watch(CORE_EVENTS, version)]


def continue_too_old(at: Place) -> Any:
    for name in "abc":
        _event(at, name)
    following = at.list(CORE_EVENTS, limit="1").document["metadata"]["continue"]
    for name in "de":
        _event(at, name)
    at.compact()
    answer = at.list(CORE_EVENTS, limit="1", continue_=following)
    return answer.code, answer.document.get("reason")


def events_by_object(at: Place) -> Any:
    _event(at, "a")
    return [
        names(at.list(CORE_EVENTS, fieldSelector=each))
        for each in ("involvedObject.name=it", "involvedObject.name=other,involvedObject.kind=Pod")
    ]


def versions_grow_across_kinds(at: Place) -> Any:
    one = made(at, SAMPLES)
    two = made(at, CONFIG_MAPS)
    three = at.merge(SAMPLES, "it", {"spec": {"count": 3}})
    return int(one.version) < int(two.version) < int(three.version)


def all_namespaces(at: Place) -> Any:
    made(at, SAMPLES, "everywhere")
    documents: list[Json] = at.call("GET", SAMPLES.path()).document["items"]
    return [it["metadata"]["name"] for it in documents if it["metadata"]["namespace"] == at.namespace]


def method_not_allowed(at: Place) -> Any:
    return at.call("POST", at.path(SAMPLES, "it"), {}).code >= 400


def of_another_version(at: Place) -> Any:
    return at.call(
        "GET", at.path(Resource(TRAINING_JOBS.group, "v9", "trainingjobs", "TrainingJob"))
    ).document


CASES: dict[str, Callable[[Place], Any]] = {
    case.__name__: case
    for case in (
        get_absent,
        kind_not_served,
        list_of_nothing,
        list_is_sorted,
        list_items,
        list_in_pages,
        pages_with_a_selector,
        nonsense_continue,
        label_selectors,
        bad_selector,
        field_selectors,
        watch_from_a_list,
        watch_in_order,
        watch_of_no_change,
        watch_with_a_selector,
        watch_of_finalizers,
        watch_without_version,
        watch_of_another_namespace,
        deleted_version_is_newer,
        bookmark,
        watch_from_nonsense,
        watch_too_old,
        watch_old_enough,
        continue_too_old,
        events_by_object,
        versions_grow_across_kinds,
        all_namespaces,
        method_not_allowed,
        of_another_version,
    )
}
