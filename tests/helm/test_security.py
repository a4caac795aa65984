"""What the chart's pods may do, whom they may talk to, and what the operator is granted."""

from __future__ import annotations

from typing import Any

import pytest

from rl_operator import names, rbac
from rl_operator.rbac import declared, policy_rules
from rl_operator.runtime.lease import LEASE_NAME
from tests.apiserver.control_plane import ControlPlane
from tests.helm.chart import NAMESPACE, Document, only, pod_templates, render, value_files

EVERY = value_files()
OPERATOR = "trial-rl-platform"


@pytest.mark.parametrize("values", EVERY)
def test_every_container_is_confined(values: str) -> None:
    for name, template in pod_templates(render(values)):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all("hostPath" not in volume for volume in pod.get("volumes", ()))
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("values", EVERY)
def test_only_the_operator_holds_an_api_token(values: str) -> None:
    holders = [
        name for name, pod in pod_templates(render(values)) if pod["spec"]["automountServiceAccountToken"]
    ]
    assert len(holders) == 1


@pytest.mark.parametrize("values", EVERY)
def test_a_namespace_that_enforces_restricted_takes_every_pod(values: str, api_server: ControlPlane) -> None:
    namespace = f"restricted-{values}"
    api_server.create_namespace(namespace, {"pod-security.kubernetes.io/enforce": "restricted"})
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict"
    for name, template in pod_templates(render(values)):
        labels = {"labels": template["metadata"]["labels"]}
        pod = {"metadata": {"name": name, **labels}, "spec": template["spec"]}
        if pod["spec"].get("priorityClassName"):
            pod["spec"] = {**pod["spec"], "priorityClassName": ""}
        status, answer = api_server.request("POST", path, pod)
        assert status == 201, answer


def test_such_a_namespace_refuses_others(api_server: ControlPlane) -> None:
    namespace = "restricted-proof"
    api_server.create_namespace(namespace, {"pod-security.kubernetes.io/enforce": "restricted"})
    pod = {"metadata": {"name": "loose"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    status, answer = api_server.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    assert status == 403
    assert "violates PodSecurity" in answer["message"]


def test_the_chart_grants_what_the_operator_declares_and_nothing_else() -> None:
    found = render("nothing")
    rules = declared()
    assert only(found, "ClusterRole", OPERATOR)["rules"] == policy_rules(it for it in rules if not it.own)
    assert only(found, "Role", f"{OPERATOR}-own")["rules"] == policy_rules(it for it in rules if it.own)
    assert only(found, "Role", f"{OPERATOR}-own")["metadata"]["namespace"] == NAMESPACE
    subject = {"kind": "ServiceAccount", "name": OPERATOR, "namespace": NAMESPACE}
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert only(found, kind)["subjects"] == [subject]


def test_the_lease_that_goes_with_the_release_is_the_operators() -> None:
    lease = only(render("nothing"), "Lease")
    assert (lease["metadata"]["name"], lease["metadata"]["namespace"]) == (LEASE_NAME, NAMESPACE)
    assert "spec" not in lease


def test_with_namespaces_nothing_is_granted_cluster_wide() -> None:
    found = render("namespaced")
    assert not [it for it in found if it["kind"].startswith("ClusterRole")]
    jobs = policy_rules(it for it in declared() if not it.own)
    roles = [it for it in found if it["kind"] == "Role" and it["metadata"]["name"] == OPERATOR]
    assert [it["metadata"]["namespace"] for it in roles] == ["team-a", "team-b"]
    assert all(it["rules"] == jobs for it in roles)
    bindings = [it for it in found if it["kind"] == "RoleBinding" and it["metadata"]["name"] == OPERATOR]
    assert [it["metadata"]["namespace"] for it in bindings] == ["team-a", "team-b"]
    assert all(it["roleRef"]["kind"] == "Role" for it in bindings)


def test_a_rule_that_is_added_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (*declared(), rbac.Rule(rbac.Resource("", "v1", "nodes", "Node"), ("get",)))
    granted = only(render("nothing"), "ClusterRole", OPERATOR)["rules"]
    assert granted != policy_rules(it for it in more if not it.own)


def test_people_get_jobs_with_the_roles_they_have() -> None:
    """Labels and rules are what the cluster's controller goes by."""
    found = render("nothing")
    reached: dict[str, set[tuple[str, str]]] = {"view": set(), "edit": set(), "admin": set()}
    for role in [
        it for it in found if it["kind"] == "ClusterRole" and "trainingjobs" in it["metadata"]["name"]
    ]:
        for rule in role["rules"]:
            assert rule["apiGroups"] == ["rlplatform.io"]
        rights = {(it, verb) for rule in role["rules"] for it in rule["resources"] for verb in rule["verbs"]}
        for name, held in reached.items():
            if role["metadata"]["labels"].get(f"rbac.authorization.k8s.io/aggregate-to-{name}") == "true":
                held |= rights
    assert reached["view"] < reached["edit"] < reached["admin"]
    assert {verb for _, verb in reached["view"]} == {"get", "list", "watch"}
    assert ("trainingjobs/scale", "patch") in reached["edit"]
    assert ("trainingjobs/status", "patch") not in reached["admin"]


def test_the_operator_talks_to_names_the_api_server_and_heads_alone() -> None:
    policy = only(render("nothing"), "NetworkPolicy", OPERATOR)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    names_, server, heads = policy["egress"]
    assert _ports(names_) == {53}
    assert _ports(server) == {443, 6443}
    assert _ports(heads) == {names.DASHBOARD_PORT, names.DRIVER_PORT}
    selector = {"matchLabels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    assert heads["to"] == [{"namespaceSelector": {}, "podSelector": selector}]
    assert "from" not in policy["ingress"][0]


def test_who_may_scrape_and_where_the_api_server_is_can_be_narrowed() -> None:
    policy = only(render("everything"), "NetworkPolicy", OPERATOR)["spec"]
    monitoring, test = policy["ingress"][0]["from"]
    assert "namespaceSelector" in monitoring
    assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    cidrs = [it["ipBlock"]["cidr"] for it in policy["egress"][1]["to"]]
    assert cidrs == ["10.0.0.1/32", "fd00::1/128"]


def test_the_trial_server_calls_nobody() -> None:
    policy = only(render("single"), "NetworkPolicy", f"{OPERATOR}-mlflow")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []


def _ports(rule: Document) -> set[Any]:
    return {it["port"] for it in rule["ports"]}


@pytest.mark.parametrize(("values", "kept"), [("nothing", True), ("single", False)])
def test_the_key_is_made_and_kept(values: str, kept: bool) -> None:
    secret = only(render(values), "Secret")
    assert len(secret["data"]["token-key"]) >= 64
    annotations = secret["metadata"].get("annotations", {})
    assert (annotations.get("helm.sh/resource-policy") == "keep") == kept


def test_a_key_that_is_there_is_used() -> None:
    found = render("brought-along")
    assert not [it for it in found if it["kind"] in ("Secret", "ServiceAccount")]
    pod = next(pod["spec"] for name, pod in pod_templates(found) if name == OPERATOR)
    assert pod["serviceAccountName"] == "theirs"
    assert {"their-key"} == {it["secret"]["secretName"] for it in pod["volumes"] if "secret" in it}
