"""Informers on a real API server that forgets, goes silent, dies and does not serve the kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rl_operator.caches import index_child
from rl_operator.runtime.api import Api
from rl_operator.runtime.cache import Cache, Change, ChangeKind
from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.informer import Informer, Timing
from rl_operator.runtime.resources import Resource
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import FREE, SAMPLES, definition
from tests.rl_operator.runtime.samples import eventually, sample
from tests.rl_operator.runtime.tcp_proxy import TcpProxy

QUICK = Timing(
    watch=(240.0, 300.0),
    silence=(75.0, 90.0),
    relist=(600.0, 900.0),
    missing=0.2,
    first_retry=0.1,
    longest_retry=0.5,
)


class Watched:
    """An informer at work, and what it told."""

    def __init__(
        self, api: Api, namespace: str | None, resource: Resource = SAMPLES, **timing: object
    ) -> None:
        self.cache = Cache(index_child)
        self.changes: list[Change] = []
        self.informer = Informer(
            api,
            resource,
            self.cache,
            self.changes.append,
            namespace=namespace,
            timing=replace(QUICK, **timing),  # type: ignore[arg-type]
        )

    def names(self) -> list[str]:
        return sorted(it.key[1] for it in self.cache.indexed())

    def told(self, kind: ChangeKind) -> list[str]:
        return [it.indexed.key[1] for it in self.changes if it.kind is kind]


@contextmanager
def at_work(watched: Watched) -> Iterator[Watched]:
    threading.Thread(target=watched.informer.run, daemon=True).start()
    try:
        eventually(lambda: watched.informer.synced or watched.informer.missing)
        yield watched
    finally:
        watched.informer.stop()


Delete = Callable[[str], None]


@pytest.fixture
def delete(api: Api, namespace: str) -> Delete:
    def delete(name: str) -> None:
        found = api.get(SAMPLES, namespace, name)
        assert found is not None
        assert api.delete(SAMPLES, namespace, name, uid=found["metadata"]["uid"])

    return delete


def through(server: ControlPlane, proxy: TcpProxy, folder: Path) -> Api:
    file = folder / "kubeconfig"
    file.write_text(server.kubeconfig.read_text().replace(server.url, f"https://127.0.0.1:{proxy.port}"))
    return Api(connect(file))


def test_it_lists_and_follows(api: Api, namespace: str, delete: Delete) -> None:
    for number in range(3):
        api.create(SAMPLES, namespace, sample(f"s{number}"))
    with at_work(Watched(api, namespace)) as watched:
        assert watched.names() == ["s0", "s1", "s2"]
        api.create(SAMPLES, namespace, sample("new"))
        delete("s1")
        eventually(lambda: watched.names() == ["new", "s0", "s2"])
        assert watched.told(ChangeKind.DELETED) == ["s1"]
        assert watched.informer.relists == {"start": 1}
        assert watched.informer.event_age_seconds() < 30


def test_other_namespaces_are_not_seen(api_server: ControlPlane, api: Api, namespace: str) -> None:
    api_server.create_namespace(f"{namespace}-other")
    api.create(SAMPLES, f"{namespace}-other", sample("elsewhere"))
    api.create(SAMPLES, namespace, sample("here"))
    with at_work(Watched(api, namespace)) as one, at_work(Watched(api, None)) as everywhere:
        assert one.names() == ["here"]
        assert {"here", "elsewhere"} <= set(everywhere.names())


def test_a_watch_from_a_forgotten_version_lists_again_and_tells_what_was_missed(
    api_server: ControlPlane, api: Api, namespace: str, delete: Delete
) -> None:
    """The server's watch cache and etcd have both forgotten: 410."""
    for number in range(3):
        api.create(SAMPLES, namespace, sample(f"s{number}"))
    watched = Watched(api, namespace)
    watched.informer._list()
    version = watched.informer._version
    delete("s0")
    gone = api.get(SAMPLES, namespace, "s1")
    delete("s1")
    api.create(SAMPLES, namespace, sample("s1"))
    api.create(SAMPLES, namespace, sample("s3"))
    api_server.compact()
    api_server.restart_server()
    assert watched.informer._version == version
    watched.changes.clear()
    with at_work(watched):
        eventually(lambda: watched.names() == ["s1", "s2", "s3"])
        assert watched.informer.relists == {"start": 1, "expired": 1}
        assert watched.told(ChangeKind.DELETED) == ["s0", "s1"]
        assert watched.told(ChangeKind.ADDED) == ["s1", "s3"]
        assert watched.told(ChangeKind.MODIFIED) == []
        assert gone is not None
        last = next(it for it in watched.changes if it.indexed.key[1] == "s1")
        assert last.read()["metadata"]["uid"] == gone["metadata"]["uid"]


def test_a_watch_that_goes_silent_is_given_up(
    api_server: ControlPlane, api: Api, namespace: str, tmp_path: Path
) -> None:
    with TcpProxy(int(api_server.url.rpartition(":")[2])) as proxy:
        watched = Watched(through(api_server, proxy, tmp_path), namespace, silence=(3.0, 3.0))
        with at_work(watched):
            api.create(SAMPLES, namespace, sample("before"))
            eventually(lambda: watched.names() == ["before"])
            proxy.swallow()
            api.create(SAMPLES, namespace, sample("unheard"))
            eventually(lambda: watched.names() == ["before", "unheard"])
            assert watched.informer.relists == {"start": 1}, "the watch goes on where it was"
            assert watched.told(ChangeKind.ADDED) == ["before", "unheard"]


def test_connections_that_are_cut_lose_nothing(
    api_server: ControlPlane, api: Api, namespace: str, tmp_path: Path
) -> None:
    with TcpProxy(int(api_server.url.rpartition(":")[2])) as proxy:
        watched = Watched(through(api_server, proxy, tmp_path), namespace)
        with at_work(watched):
            for number in range(5):
                proxy.cut()
                api.create(SAMPLES, namespace, sample(f"s{number}"))
            eventually(lambda: len(watched.names()) == 5)
            assert len(watched.told(ChangeKind.ADDED)) == 5


def test_a_server_that_was_killed_and_came_back_is_followed_again(
    api_server: ControlPlane, api: Api, namespace: str, delete: Delete
) -> None:
    api.create(SAMPLES, namespace, sample("one"))
    with at_work(Watched(api, namespace)) as watched:
        api_server.server.kill()
        eventually(lambda: watched.informer.fault)
        assert watched.informer.turn_age_seconds() < 30, "failing is not standing still"
        assert watched.names() == ["one"]
        api_server.start_server()
        api.create(SAMPLES, namespace, sample("two"))
        delete("one")
        eventually(lambda: watched.names() == ["two"])
        eventually(lambda: not watched.informer.fault or watched.informer.event_age_seconds() < 5)


def test_a_kind_that_is_not_served_is_visible_and_found_when_it_comes(
    api_server: ControlPlane, api: Api, namespace: str
) -> None:
    late = Resource("late.rlplatform.io", "v1", "lates", "Late")
    with at_work(Watched(api, None, late)) as watched:
        assert watched.informer.missing
        assert not watched.informer.synced
        api_server.install_crd(definition(late, {"type": "object", "properties": {"spec": FREE}}))
        api.create(late, namespace, {**sample("one"), "apiVersion": late.api_version, "kind": "Late"})
        eventually(lambda: watched.names() == ["one"])
        assert watched.informer.synced
        assert not watched.informer.missing


def test_it_lists_again_from_time_to_time_and_tells_nothing_new(api: Api, namespace: str) -> None:
    api.create(SAMPLES, namespace, sample("one"))
    timing = {"relist": (0.5, 0.5), "watch": (1.0, 1.0), "shortest_watch": 0.1}
    with at_work(Watched(api, namespace, **timing)) as watched:
        eventually(lambda: watched.informer.relists["periodic"] >= 2)
        assert [it.kind for it in watched.changes] == [ChangeKind.ADDED]


def test_a_missed_deletion_is_told_at_the_next_list(api: Api, namespace: str, delete: Delete) -> None:
    api.create(SAMPLES, namespace, sample("one", note="last words"))
    watched = Watched(api, namespace)
    watched.informer._list()
    delete("one")
    watched.informer._list()
    assert [it.kind for it in watched.changes] == [ChangeKind.ADDED, ChangeKind.DELETED]
    assert json.dumps(watched.changes[-1].read()).count("last words") == 1
