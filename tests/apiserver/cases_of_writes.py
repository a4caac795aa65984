"""Contract cases: create, replace, patch, status, generation, resourceVersion."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rl_operator.runtime.resources import CONFIG_MAPS, LEASES, RAY_CLUSTERS, SECRETS, Resource
from tests.apiserver.calls import Answer, Json, Place
from tests.apiserver.sample_crd import SAMPLES

BODIES: dict[Resource, Json] = {
    SAMPLES: {"spec": {"fixed": "a"}},
    RAY_CLUSTERS: {"spec": {"rayVersion": "2.60.0"}},
    CONFIG_MAPS: {"data": {"a": "1"}},
    SECRETS: {"data": {"a": "MQ=="}},
    LEASES: {"spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}},
}
CHANGES: dict[Resource, Json] = {
    SAMPLES: {"spec": {"count": 2}},
    RAY_CLUSTERS: {"spec": {"suspend": True}},
    CONFIG_MAPS: {"data": {"b": "2"}},
    SECRETS: {"data": {"b": "Mg=="}},
    LEASES: {"spec": {"holderIdentity": "two"}},
}


def body(resource: Resource, name: str = "it", **metadata: Any) -> Json:
    return {"metadata": {"name": name, **metadata}, **BODIES[resource]}


def made(at: Place, resource: Resource, name: str = "it", **metadata: Any) -> Answer:
    answer = at.create(resource, body(resource, name, **metadata))
    assert answer.code == 201, answer
    return answer


def changed(document: Json, change: Json) -> Json:
    """One level deeper than a plain union."""
    return {**document, **{key: {**document.get(key, {}), **value} for key, value in change.items()}}


def create(at: Place, kind: Resource) -> Any:
    return made(at, kind).seen


def create_twice(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    again = at.create(kind, body(kind))
    return again.seen, at.get(kind, "it").version == first.version


def create_without_name(at: Place, kind: Resource) -> Any:
    return at.create(kind, {**BODIES[kind], "metadata": {}}).seen


def create_in_another_namespace(at: Place, kind: Resource) -> Any:
    return at.create(kind, body(kind, namespace="elsewhere")).code


def create_in_no_namespace(at: Place, kind: Resource) -> Any:
    full = {"apiVersion": kind.api_version, "kind": kind.kind, **body(kind)}
    return at.call("POST", kind.path("nowhere-at-all"), full).seen


def create_with_version(at: Place, kind: Resource) -> Any:
    return at.create(kind, body(kind, resourceVersion="7")).code


def create_dry_run(at: Place, kind: Resource) -> Any:
    return at.create(kind, body(kind), dryRun="All").seen, at.get(kind, "it").seen


def server_fields_are_the_servers(at: Place, kind: Resource) -> Any:
    answer = made(at, kind, uid="mine", creationTimestamp="2001-01-01T00:00:00Z", generation=7)
    return answer.uid == "mine", "2001" in answer.document["metadata"]["creationTimestamp"], answer.generation


def create_again_after_delete(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    at.delete(kind, "it")
    second = made(at, kind)
    return first.uid == second.uid, int(second.version) > int(first.version), second.generation


def replace(at: Place, kind: Resource) -> Any:
    answer = at.put(kind, "it", changed(made(at, kind).document, CHANGES[kind]))
    return answer.seen


def replace_unchanged(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    answer = at.put(kind, "it", first.document)
    return answer.code, answer.version == first.version


def replace_stale(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    at.merge(kind, "it", CHANGES[kind])
    return at.put(kind, "it", first.document).seen


def replace_without_version(at: Place, kind: Resource) -> Any:
    document = made(at, kind).document
    metadata = {"name": "it", "namespace": at.namespace}
    return at.put(kind, "it", {**document, "metadata": metadata}).seen


def replace_absent(at: Place, kind: Resource) -> Any:
    full = {"apiVersion": kind.api_version, "kind": kind.kind, **body(kind)}
    return at.put(kind, "it", full).seen


def replace_with_another_name(at: Place, kind: Resource) -> Any:
    document = made(at, kind).document
    return at.put(kind, "it", {**document, "metadata": {**document["metadata"], "name": "other"}}).code


def replace_with_another_uid(at: Place, kind: Resource) -> Any:
    document = made(at, kind).document
    return at.put(kind, "it", {**document, "metadata": {**document["metadata"], "uid": "other"}}).seen


def replace_drops_what_is_left_out(at: Place, kind: Resource) -> Any:
    document = made(at, kind, labels={"a": "1"}, annotations={"b": "2"}).document
    kept = {key: document["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    return at.put(kind, "it", {**document, "metadata": kept}).seen


def merge(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    answer = at.merge(kind, "it", CHANGES[kind])
    return answer.seen, int(answer.version) > int(first.version)


def merge_nothing(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    answer = at.merge(kind, "it", {})
    return answer.code, answer.version == first.version


def merge_with_version(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    fits = at.merge(kind, "it", {"metadata": {"resourceVersion": first.version}, **CHANGES[kind]})
    stale = at.merge(kind, "it", {"metadata": {"resourceVersion": first.version, "labels": {"a": "b"}}})
    return fits.code, stale.seen


def merge_with_another_uid(at: Place, kind: Resource) -> Any:
    made(at, kind)
    return at.merge(kind, "it", {"metadata": {"uid": "other"}, **CHANGES[kind]}).seen


def merge_absent(at: Place, kind: Resource) -> Any:
    return at.merge(kind, "it", CHANGES[kind]).seen


def merge_removes_by_null(at: Place, kind: Resource) -> Any:
    made(at, kind, labels={"a": "1", "b": "2"})
    return at.merge(kind, "it", {"metadata": {"labels": {"a": None}}}).seen


def labels_are_no_content(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    second = at.merge(kind, "it", {"metadata": {"labels": {"a": "1"}, "annotations": {"b": "2"}}})
    return first.generation, second.generation, first.version == second.version


def bad_label(at: Place, kind: Resource) -> Any:
    return at.create(kind, body(kind, labels={"a": "x" * 64})).code


def json_patch_test_holds(at: Place, kind: Resource) -> Any:
    uid = made(at, kind).uid
    test = {"op": "test", "path": "/metadata/uid", "value": uid}
    return at.json_patch(
        kind, "it", test, {"op": "add", "path": "/metadata/labels", "value": {"a": "1"}}
    ).seen


def json_patch_test_fails(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    test = {"op": "test", "path": "/metadata/uid", "value": "other"}
    refused = at.json_patch(kind, "it", test, {"op": "add", "path": "/metadata/labels", "value": {"a": "1"}})
    return refused.code, at.get(kind, "it").version == first.version


def json_patch_of_nothing(at: Place, kind: Resource) -> Any:
    made(at, kind)
    gone = at.json_patch(kind, "it", {"op": "remove", "path": "/metadata/labels/none"})
    replaced = at.json_patch(kind, "it", {"op": "replace", "path": "/metadata/labels/none", "value": "1"})
    return gone.code, replaced.code


def json_patch_version(at: Place, kind: Resource) -> Any:
    first = made(at, kind)
    at.merge(kind, "it", CHANGES[kind])
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": first.version}
    return at.json_patch(
        kind, "it", test, {"op": "add", "path": "/metadata/labels", "value": {"a": "1"}}
    ).code


def unknown_patch_type(at: Place, kind: Resource) -> Any:
    made(at, kind)
    return at.call("PATCH", at.path(kind, "it"), {}, "text/plain").code


def not_json(at: Place, kind: Resource) -> Any:
    return at.call("POST", at.path(kind), b"{nonsense").code


def another_kind(at: Place, kind: Resource) -> Any:
    full = {"apiVersion": "v1", "kind": "Nonsense", **body(kind)}
    return at.call("POST", at.path(kind), full).code


def owners(at: Place, kind: Resource) -> Any:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u", "controller": True}
    good = made(at, kind, ownerReferences=[owner]).seen
    unnamed = at.create(kind, body(kind, "b", ownerReferences=[{**owner, "name": ""}])).code
    two = at.create(kind, body(kind, "c", ownerReferences=[owner, {**owner, "uid": "v"}])).code
    return good, unnamed, two


COMMON: tuple[Callable[[Place, Resource], Any], ...] = (
    create,
    create_twice,
    replace,
    replace_stale,
    replace_without_version,
    replace_absent,
    merge_with_version,
    merge_nothing,
    labels_are_no_content,
    json_patch_test_fails,
)
ON_TWO: tuple[Callable[[Place, Resource], Any], ...] = (
    create_without_name,
    create_in_another_namespace,
    create_in_no_namespace,
    create_with_version,
    create_dry_run,
    server_fields_are_the_servers,
    create_again_after_delete,
    replace_unchanged,
    replace_with_another_name,
    replace_with_another_uid,
    replace_drops_what_is_left_out,
    merge,
    merge_with_another_uid,
    merge_absent,
    merge_removes_by_null,
    bad_label,
    json_patch_test_holds,
    json_patch_of_nothing,
    json_patch_version,
    unknown_patch_type,
    not_json,
    another_kind,
    owners,
)


# Status


def status_is_apart(at: Place) -> Any:
    first = at.create(SAMPLES, {**body(SAMPLES), "status": {"phase": "Early"}})
    second = at.merge(SAMPLES, "it", {"status": {"phase": "Wrong"}, "spec": {"count": 3}})
    third = at.merge(SAMPLES, "it", {"status": {"phase": "Right"}, "spec": {"count": 4}}, "status")
    return first.seen, second.seen, third.seen


def status_replaced(at: Place) -> Any:
    document = made(at, SAMPLES).document
    metadata = {**document["metadata"], "labels": {"a": "1"}}
    new = {**document, "metadata": metadata, "status": {"phase": "Right"}, "spec": {"fixed": "b"}}
    return at.put(SAMPLES, "it", new, "status").seen, at.get(SAMPLES, "it").seen


def status_stale(at: Place) -> Any:
    first = made(at, SAMPLES)
    fits = at.merge(
        SAMPLES, "it", {"metadata": {"resourceVersion": first.version}, "status": {"count": 1}}, "status"
    )
    stale = at.merge(
        SAMPLES, "it", {"metadata": {"resourceVersion": first.version}, "status": {"count": 2}}, "status"
    )
    return fits.seen, stale.seen, at.get(SAMPLES, "it").seen


def status_unchanged(at: Place) -> Any:
    made(at, SAMPLES)
    first = at.merge(SAMPLES, "it", {"status": {"count": 1}}, "status")
    second = at.merge(SAMPLES, "it", {"status": {"count": 1}}, "status")
    return first.version == second.version, second.generation


def status_invalid(at: Place) -> Any:
    made(at, SAMPLES)
    return at.merge(SAMPLES, "it", {"status": {"count": -1}}, "status").seen


def status_absent(at: Place) -> Any:
    return at.merge(SAMPLES, "it", {"status": {"count": 1}}, "status").seen


def status_of_a_kind_without(at: Place) -> Any:
    made(at, CONFIG_MAPS)
    return at.merge(CONFIG_MAPS, "it", {"status": {"count": 1}}, "status").code


def generation_counts_content(at: Place) -> Any:
    seen = [made(at, SAMPLES).generation]
    for patch, where in (
        ({"spec": {"count": 2}}, ""),
        ({"spec": {"count": 2}}, ""),
        ({"status": {"count": 2}}, "status"),
        ({"metadata": {"generation": 9}}, ""),
        ({"spec": {"count": 3}}, ""),
    ):
        seen.append(at.merge(SAMPLES, "it", patch, where).generation)
    return seen


def lease_race(at: Place) -> Any:
    """Two candidates read the same lease; the second write loses."""
    read = made(at, LEASES).document
    first = at.put(LEASES, "it", changed(read, {"spec": {"holderIdentity": "first"}}))
    second = at.put(LEASES, "it", changed(read, {"spec": {"holderIdentity": "second"}}))
    return first.code, second.seen, at.get(LEASES, "it").document["spec"]["holderIdentity"]


ALONE = (
    status_is_apart,
    status_replaced,
    status_stale,
    status_unchanged,
    status_invalid,
    status_absent,
    status_of_a_kind_without,
    generation_counts_content,
    lease_race,
)

CASES: dict[str, Callable[[Place], Any]] = {
    **{f"{case.__name__}-{kind.plural}": partial(case, kind=kind) for case in COMMON for kind in BODIES},
    **{
        f"{case.__name__}-{kind.plural}": partial(case, kind=kind)
        for case in ON_TWO
        for kind in (SAMPLES, CONFIG_MAPS)
    },
    **{case.__name__: case for case in ALONE},
}
