"""The control plane of the tests: it comes up, forgets on demand, survives its processes, and knows users."""

from __future__ import annotations

import time

from tests.apiserver.control_plane import ControlPlane


def test_objects_survive_killed_processes(api_server: ControlPlane, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    status, made = api_server.request("POST", path, {"metadata": {"name": "kept"}, "data": {"a": "1"}})
    assert status == 201
    api_server.restart_server(kill=True)
    api_server.restart_etcd(kill=True)
    status, found = api_server.request("GET", f"{path}/kept")
    assert (status, found["metadata"]["uid"]) == (200, made["metadata"]["uid"])


def test_compaction_forgets_old_versions(api_server: ControlPlane, namespace: str) -> None:
    """Core events have no watch cache, so the answer is etcd's."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    _, first = api_server.request("POST", path, {"metadata": {"name": "one"}})
    for name in ("two", "three"):
        api_server.request("POST", path, {"metadata": {"name": name}})
    assert api_server.compact() > int(first["metadata"]["resourceVersion"])
    watch = f"/api/v1/namespaces/{namespace}/events?watch=1&timeoutSeconds=5&resourceVersion="
    status, answer = api_server.request("GET", watch + first["metadata"]["resourceVersion"])
    assert (status, answer["type"], answer["object"]["code"]) == (200, "ERROR", 410)


def test_a_restricted_user_may_nothing_until_a_role_is_bound(
    api_server: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert api_server.request("GET", path, token="author")[0] == 403
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    api_server.request("POST", f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "author", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    assert api_server.request("POST", f"{rbac}/rolebindings", binding)[0] == 201
    # The server's authorizer learns of a binding through a watch of its own: a moment after the answer.
    deadline = time.monotonic() + 30
    while (status := api_server.request("GET", path, token="author")[0]) == 403:
        assert time.monotonic() < deadline, "the role that was bound gave nothing for 30 s"
        time.sleep(0.05)
    assert status == 200
    assert api_server.request("GET", path, token="stranger")[0] == 403
    assert api_server.request("GET", path, token="unknown")[0] == 401
