"""Calls to a real API server: what each refusal becomes."""

from __future__ import annotations

import pytest

from rl_operator.runtime.api import (
    AlreadyExists,
    Api,
    ApiError,
    Call,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KindMissing,
    NotFound,
    Unauthorized,
    UnknownOutcome,
)
from rl_operator.runtime.api_errors import TooManyRequests, as_error
from rl_operator.runtime.cluster_transport import ClusterTransport, connect
from rl_operator.runtime.resources import PODS, Resource
from rl_operator.runtime.token_bucket import TokenBucket
from rl_operator.runtime.transport import Response
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import SAMPLES
from tests.rl_operator.runtime.clocks import HandClock
from tests.rl_operator.runtime.samples import sample

NOT_SERVED = Resource("nobody.example.org", "v1", "things", "Thing")
OTHER_VERSION = Resource(SAMPLES.group, "v9", SAMPLES.plural, SAMPLES.kind)


def as_user(server: ControlPlane, token: str) -> Api:
    file = server.folder / f"kubeconfig-{token}"
    file.write_text(server.kubeconfig_for(token))
    return Api(connect(file))


def test_an_object_is_made_read_changed_and_deleted(api: Api, namespace: str) -> None:
    made = api.create(SAMPLES, namespace, sample("one", size=1))
    version, uid = made["metadata"]["resourceVersion"], made["metadata"]["uid"]
    assert api.get(SAMPLES, namespace, "one") == made
    patched = api.json_patch(
        SAMPLES, namespace, "one", [{"op": "replace", "path": "/spec/free/size", "value": 2}]
    )
    assert patched["spec"]["free"] == {"size": 2}
    status = {"metadata": {"resourceVersion": version}, "status": {"phase": "Late"}}
    with pytest.raises(Conflict):
        api.merge_patch(SAMPLES, namespace, "one", status, subresource="status")
    status["metadata"]["resourceVersion"] = patched["metadata"]["resourceVersion"]
    written = api.merge_patch(SAMPLES, namespace, "one", status, subresource="status")
    assert written["status"]["phase"] == "Late"
    with pytest.raises(Conflict):
        api.replace(SAMPLES, namespace, "one", made)
    written["spec"]["free"] = {}
    replaced = api.replace(SAMPLES, namespace, "one", written)
    with pytest.raises(Conflict):
        api.delete(SAMPLES, namespace, "one", uid="another")
    with pytest.raises(Conflict):
        api.delete(SAMPLES, namespace, "one", uid=uid, resource_version=version)
    assert api.delete(
        SAMPLES, namespace, "one", uid=uid, resource_version=replaced["metadata"]["resourceVersion"]
    )
    assert not api.delete(SAMPLES, namespace, "one", uid=uid)
    assert api.get(SAMPLES, namespace, "one") is None


def test_refusals_of_writes_have_types(api: Api, namespace: str) -> None:
    api.create(SAMPLES, namespace, sample("one"))
    with pytest.raises(AlreadyExists):
        api.create(SAMPLES, namespace, sample("one"))
    with pytest.raises(Invalid, match=r"spec\.count"):
        api.create(SAMPLES, namespace, {**sample("two"), "spec": {"fixed": "x", "count": 99}})
    with pytest.raises(Invalid):
        api.json_patch(SAMPLES, namespace, "one", [{"op": "test", "path": "/spec/fixed", "value": "no"}])
    with pytest.raises(NotFound):
        api.create(SAMPLES, "no-such-namespace", sample("one"))
    with pytest.raises(NotFound):
        api.merge_patch(SAMPLES, namespace, "absent", {"spec": {}})


def test_a_dry_run_is_strict_and_stores_nothing(api: Api, namespace: str) -> None:
    with pytest.raises(ApiError, match="unknown field"):
        api.create(SAMPLES, namespace, {**sample("one"), "spec": {"fixed": "x", "typo": 1}}, dry_run=True)
    api.create(SAMPLES, namespace, sample("one"), dry_run=True)
    assert api.get(SAMPLES, namespace, "one") is None


@pytest.mark.parametrize("kind", [NOT_SERVED, OTHER_VERSION], ids=["group", "version"])
def test_a_kind_that_is_not_served_differs_from_an_object_that_is_not_there(
    api: Api, namespace: str, kind: Resource
) -> None:
    for call in (
        lambda: api.get(kind, namespace, "one"),
        lambda: api.list(kind),
        lambda: api.create(kind, namespace, sample("one")),
        lambda: api.delete(kind, namespace, "one", uid="x"),
        lambda: next(api.watch(kind, resource_version="1", timeout_seconds=5)),
    ):
        with pytest.raises(KindMissing):
            call()


def test_a_missing_right_is_named(api_server: ControlPlane, api: Api, namespace: str) -> None:
    stranger = as_user(api_server, "stranger")
    for call in (
        lambda: stranger.list(SAMPLES),
        lambda: next(stranger.watch(SAMPLES, resource_version="1", timeout_seconds=5)),
    ):
        with pytest.raises(Forbidden, match=r'cannot (list|watch) resource "samples" in API group "testing'):
            call()
    with pytest.raises(Unauthorized):
        as_user(api_server, "nobody-has-this-token").list(SAMPLES)


def test_lists_come_in_pages_of_one_version_and_items_know_their_kind(api: Api, namespace: str) -> None:
    for number in range(7):
        body = sample(f"s{number}")
        body["metadata"]["labels"] = {"odd": str(number % 2)}
        api.create(SAMPLES, namespace, body)
    pages = list(api.pages(SAMPLES, namespace, limit=3))
    assert [len(page.items) for page in pages] == [3, 3, 1]
    assert len({page.resource_version for page in pages}) == 1
    assert {(it["kind"], it["apiVersion"]) for page in pages for it in page.items} == {
        (SAMPLES.kind, SAMPLES.api_version)
    }
    odd = api.list(SAMPLES, namespace, label_selector="odd=1", limit=2)
    assert [it["metadata"]["name"] for it in odd.items] == ["s1", "s3", "s5"]
    named = api.list(SAMPLES, namespace, field_selector="metadata.name=s4")
    assert [it["metadata"]["name"] for it in named.items] == ["s4"]


def test_a_page_that_comes_too_late_has_expired(api_server: ControlPlane, api: Api, namespace: str) -> None:
    for number in range(3):
        api.create(SAMPLES, namespace, sample(f"s{number}"))
    pages = api.pages(SAMPLES, namespace, limit=2)
    next(pages)
    api.create(SAMPLES, namespace, sample("later"))
    api_server.compact()
    api_server.restart_server()  # it would still hold a snapshot of the list
    with pytest.raises(Expired):
        next(pages)


def test_a_watch_tells_changes_and_ends_in_time(api: Api, namespace: str) -> None:
    before = api.list(SAMPLES, namespace).resource_version
    made = api.create(SAMPLES, namespace, sample("one"))
    api.merge_patch(SAMPLES, namespace, "one", {"spec": {"free": {"size": 2}}})
    api.delete(SAMPLES, namespace, "one", uid=made["metadata"]["uid"])
    events = list(api.watch(SAMPLES, namespace, resource_version=before, timeout_seconds=2))
    told = [it for it in events if it.type != "BOOKMARK"]
    assert [it.type for it in told] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(it.object["metadata"]["resourceVersion"]) for it in told]
    assert versions == sorted(versions)
    assert versions[0] > int(before)


def test_a_server_that_is_away_leaves_the_outcome_open(api_server: ControlPlane, tmp_path: object) -> None:
    file = api_server.folder / "kubeconfig-away"
    file.write_text(api_server.kubeconfig.read_text().replace(api_server.url, "https://127.0.0.1:9"))
    away = Api(connect(file))
    with pytest.raises(UnknownOutcome):
        away.create(PODS, "default", {})
    with pytest.raises(UnknownOutcome):
        next(away.watch(PODS, resource_version="1", timeout_seconds=5))


def test_every_call_is_reported_with_its_code(api_server: ControlPlane, api: Api, namespace: str) -> None:
    calls: list[Call] = []
    told = Api(connect(api_server.kubeconfig), observe=calls.append)
    told.get(SAMPLES, namespace, "absent")
    told.create(SAMPLES, namespace, sample("one"))
    list(told.watch(SAMPLES, namespace, resource_version="", timeout_seconds=1))
    assert [(it.verb, it.method, it.code) for it in calls] == [
        ("get", "GET", 404),
        ("create", "POST", 201),
        ("watch", "GET", 200),
    ]


class Answering:
    """Gives every request the same answer."""

    def __init__(self, response: Response) -> None:
        self.response = response

    send = stream = lambda self, request: self.response


def test_calls_are_paced_by_the_bucket() -> None:
    clock, slept = HandClock(), list[float]()
    bucket = TokenBucket(10, 2, clock)
    api = Api(Answering(Response(200, b"{}")), bucket=bucket, sleep=slept.append)
    for _ in range(4):
        api.get(PODS, "ns", "x")
    assert slept == [pytest.approx(0.1), pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("response", "kind", "seconds"),
    [
        (Response(429, b"slow down", {"retry-after": "7"}), TooManyRequests, 7.0),
        (
            Response(429, b'{"kind":"Status","reason":"TooManyRequests","details":{"retryAfterSeconds":3}}'),
            TooManyRequests,
            3.0,
        ),
        (Response(503, b"", {"retry-after": "1"}), UnknownOutcome, 1.0),
        (Response(504, b'{"kind":"Status","reason":"Timeout"}'), UnknownOutcome, None),
        (Response(409, b'{"kind":"Status","reason":"Conflict"}'), Conflict, None),
        (Response(502, b"<html>bad gateway</html>"), UnknownOutcome, None),
        (Response(400, b'{"kind":"Status","reason":"BadRequest","message":"no"}'), ApiError, None),
    ],
)
def test_what_a_status_means(response: Response, kind: type[ApiError], seconds: float | None) -> None:
    error = as_error(response)
    assert type(error) is kind
    assert error.retry_after_seconds == seconds
    with pytest.raises(kind):
        Api(Answering(response)).create(PODS, "ns", {})


def test_an_answer_that_is_no_json_leaves_the_outcome_open() -> None:
    with pytest.raises(UnknownOutcome):
        Api(Answering(Response(200, b"<html>log in</html>"))).create(PODS, "ns", {})


def test_the_transport_is_what_the_seam_asks_for(api_server: ControlPlane) -> None:
    transport: ClusterTransport = connect(api_server.kubeconfig)
    assert transport.host == api_server.url.removeprefix("https://")
