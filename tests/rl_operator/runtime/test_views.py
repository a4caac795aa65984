"""What is made of cached objects: of each version once, and never of an old one."""

from __future__ import annotations

from typing import Any

from rl_operator.caches import index_child
from rl_operator.runtime.api import WatchEvent
from rl_operator.runtime.cache import Cache
from rl_operator.runtime.views import KEPT, Views

Json = dict[str, Any]


def thing(name: str, version: int) -> Json:
    labels = {"rlplatform.io/job": "job"}
    metadata = {
        "namespace": "ns",
        "name": name,
        "uid": name,
        "resourceVersion": str(version),
        "labels": labels,
    }
    return {"metadata": metadata, "spec": {"size": version}}


class Sizes:
    """Views that count how often they are made."""

    def __init__(self) -> None:
        self.cache = Cache(index_child)
        self.made = 0
        self.views = Views(self.cache, self.make)

    def make(self, document: Json) -> int:
        self.made += 1
        return int(document["spec"]["size"])

    def put(self, name: str, version: int) -> None:
        self.cache.apply(WatchEvent("MODIFIED", thing(name, version)))


def test_a_view_is_made_once_of_each_version() -> None:
    sizes = Sizes()
    sizes.put("a", 1)
    assert [sizes.views.get("ns", "a") for _ in range(3)] == [1, 1, 1]
    assert sizes.made == 1
    sizes.put("a", 2)
    assert [sizes.views.get("ns", "a"), *sizes.views.of(("ns", "job"))] == [2, 2]
    assert sizes.made == 2


def test_what_is_gone_has_no_view() -> None:
    sizes = Sizes()
    sizes.put("a", 1)
    assert sizes.views.of(("ns", "job")) == [1]
    sizes.cache.apply(WatchEvent("DELETED", thing("a", 2)))
    assert sizes.views.get("ns", "a") is None
    assert sizes.views.of(("ns", "job")) == []


def test_no_more_are_kept_than_the_last_few() -> None:
    sizes = Sizes()
    for number in range(KEPT + 1):
        sizes.put(f"thing-{number:04}", number + 1)
    assert sizes.views.of(("ns", "job")) == list(range(1, KEPT + 2))
    assert sizes.views.get("ns", "thing-0000") == 1
    assert sizes.made == KEPT + 2
