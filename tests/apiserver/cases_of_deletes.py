"""Contract cases: deletion, preconditions, finalizers, grace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rl_operator.runtime.resources import CONFIG_MAPS, PODS, RAY_CLUSTERS, SECRETS, Resource
from tests.apiserver.calls import Answer, Place
from tests.apiserver.cases_of_writes import CHANGES, made
from tests.apiserver.sample_crd import SAMPLES

FINALIZER = "testing.rlplatform.io/held"


def delete(at: Place, kind: Resource) -> Any:
    made(at, kind)
    return at.delete(kind, "it").seen, at.get(kind, "it").seen


def delete_absent(at: Place, kind: Resource) -> Any:
    return at.delete(kind, "it").seen


def delete_of_this_uid(at: Place, kind: Resource) -> Any:
    uid = made(at, kind).uid
    wrong = at.delete(kind, "it", preconditions={"uid": "another"})
    right = at.delete(kind, "it", preconditions={"uid": uid})
    return wrong.seen, right.code, at.get(kind, "it").code


def delete_of_this_version(at: Place, kind: Resource) -> Any:
    first = made(at, kind).version
    second = at.merge(kind, "it", CHANGES[kind]).version
    stale = at.delete(kind, "it", preconditions={"resourceVersion": first})
    fresh = at.delete(kind, "it", preconditions={"resourceVersion": second})
    return stale.seen, fresh.code


def held_by_a_finalizer(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    ended = at.delete(kind, "it")
    again = at.delete(kind, "it")
    return ended.seen, again.seen, ended.version == again.version, at.get(kind, "it").seen


def last_finalizer_removed(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    at.delete(kind, "it")
    freed = at.json_patch(
        kind,
        "it",
        {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    )
    return freed.code, at.get(kind, "it").code


def finalizer_removed_before(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    freed = at.merge(kind, "it", {"metadata": {"finalizers": None}})
    return freed.seen, at.get(kind, "it").code


def no_new_finalizer_while_ending(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    at.delete(kind, "it")
    return at.merge(kind, "it", {"metadata": {"finalizers": [FINALIZER, "testing.rlplatform.io/b"]}}).code


def unqualified_finalizer(at: Place, kind: Resource) -> Any:
    body = {"metadata": {"name": "it", "finalizers": ["held"]}}
    return at.create(kind, {**body, **({"spec": {"fixed": "a"}} if kind == SAMPLES else {})}).code


def changes_while_ending(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    at.delete(kind, "it")
    return at.merge(kind, "it", CHANGES[kind]).seen


def create_while_ending(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    at.delete(kind, "it")
    return at.create(kind, {"metadata": {"name": "it"}, "spec": {"fixed": "a"}}).seen


def deletion_time_is_the_servers(at: Place, kind: Resource) -> Any:
    made(at, kind, finalizers=[FINALIZER])
    at.delete(kind, "it")
    return at.merge(kind, "it", {"metadata": {"deletionTimestamp": None}}).seen


def in_the_foreground(at: Place, kind: Resource) -> Any:
    made(at, kind)
    return at.delete(kind, "it", propagationPolicy="Foreground").seen, at.get(kind, "it").seen


def in_the_background(at: Place, kind: Resource) -> Any:
    made(at, kind)
    return at.delete(kind, "it", propagationPolicy="Background").code, at.get(kind, "it").code


EACH: tuple[Callable[[Place, Resource], Any], ...] = (
    delete,
    delete_absent,
    delete_of_this_uid,
    delete_of_this_version,
    held_by_a_finalizer,
    last_finalizer_removed,
    finalizer_removed_before,
    no_new_finalizer_while_ending,
    unqualified_finalizer,
    changes_while_ending,
    deletion_time_is_the_servers,
    in_the_foreground,
    in_the_background,
)


def _pod(at: Place, node: str = "") -> Answer:
    container = {"name": "it", "image": "none", "terminationMessagePolicy": "File"}
    spec = {"containers": [container], **({"nodeName": node} if node else {})}
    return at.create(PODS, {"metadata": {"name": "it"}, "spec": spec})


def pod_created(at: Place) -> Any:
    return _pod(at).seen


def unscheduled_pod_goes_at_once(at: Place) -> Any:
    _pod(at)
    return at.delete(PODS, "it").code, at.get(PODS, "it").seen


def scheduled_pod_takes_its_time(at: Place) -> Any:
    _pod(at, "node-1")
    ended = at.delete(PODS, "it")
    final = at.delete(PODS, "it", gracePeriodSeconds=0)
    return ended.seen, final.code, at.get(PODS, "it").code


def ended_pod_goes_at_once(at: Place) -> Any:
    _pod(at, "node-1")
    at.merge(PODS, "it", {"status": {"phase": "Failed"}}, "status")
    return at.delete(PODS, "it").code, at.get(PODS, "it").code


def pod_deleted_twice(at: Place) -> Any:
    _pod(at, "node-1")
    first = at.delete(PODS, "it")
    second = at.delete(PODS, "it")
    return second.seen, first.version == second.version


def pod_of_another_uid(at: Place) -> Any:
    _pod(at, "node-1")
    return at.delete(PODS, "it", preconditions={"uid": "other"}).seen


def pod_phase(at: Place) -> Any:
    _pod(at)
    written = at.merge(PODS, "it", {"status": {"phase": "Running"}}, "status")
    ignored = at.merge(PODS, "it", {"status": {"phase": "Failed"}})
    return written.seen, ignored.seen


PODS_CASES = (
    pod_created,
    unscheduled_pod_goes_at_once,
    scheduled_pod_takes_its_time,
    ended_pod_goes_at_once,
    pod_deleted_twice,
    pod_of_another_uid,
    pod_phase,
)

CASES: dict[str, Callable[[Place], Any]] = {
    **{
        f"{case.__name__}-{kind.plural}": partial(case, kind=kind)
        for case in EACH
        for kind in (SAMPLES, CONFIG_MAPS)
    },
    **{f"delete-{kind.plural}": partial(delete, kind=kind) for kind in (RAY_CLUSTERS, SECRETS)},
    "create_while_ending": partial(create_while_ending, kind=SAMPLES),
    **{case.__name__: case for case in PODS_CASES},
}
