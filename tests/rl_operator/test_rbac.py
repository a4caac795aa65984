"""Least privilege, both ways: whatever the operator calls is declared, and whatever is declared is called."""

from __future__ import annotations

import re
from functools import cache

import pytest
import yaml

from rl_operator.events import EventRecorder
from rl_operator.observed import job_from
from rl_operator.rbac import Rule, declared, policy_rules, roles
from rl_operator.runtime.api import Api
from rl_operator.runtime.lease import Elector
from rl_operator.runtime.resources import PODS, SECRETS
from rl_operator.watching import Watching
from tests.rl_operator.accesses import Access, Recorder, access, allows
from tests.simulation.runs import play
from tests.simulation.scenarios import SCENARIOS

OWN = "rl-platform"
CALL = re.compile(r"^\S+ #\d+ (GET|POST|PUT|PATCH|DELETE) (/apis?/\S+)")


def recorded_by_runtime() -> set[Access]:
    """Informers, leader election and events, each once."""
    recorder = Recorder()
    api = Api(recorder)
    watching = Watching(api, (), wake=lambda key: None, job_changed=lambda change: None)
    for informer in watching.informers:
        informer.turn()
    elector = Elector(api, OWN, "me", on_lost=lambda: None)
    elector.attempt()
    events = EventRecorder(api, "me", redact=str, dropped=lambda why: None)
    metadata = {"namespace": "ns", "name": "job", "uid": "uid", "resourceVersion": "1"}
    for _ in range(2):
        events.emit(job_from({"metadata": metadata}), "Normal", "Reason", "text")
        told = events._waiting.get_nowait()
        assert told is not None
        events.write(told)
    return recorder.asked


def recorded_by_scenarios() -> set[Access]:
    """Every call of the operator in every named scenario, without a fault."""
    asked = set()
    for scenario in SCENARIOS.values():
        for line in play(scenario, None).trace:
            called = CALL.match(line)
            if called is not None:
                asked.add(access(called[1], called[2]))
    return asked


@cache
def used() -> frozenset[Access]:
    renewed = Access(
        "update", "coordination.k8s.io", "leases", "rl-operator", OWN
    )  # test_lease does, for real
    return frozenset(recorded_by_runtime() | recorded_by_scenarios() | {renewed})


def test_whatever_is_called_is_declared() -> None:
    rules = declared()
    assert len(used()) > 20
    assert [it for it in used() if not any(allows(rule, it, OWN) for rule in rules)] == []


def test_whatever_is_declared_is_called() -> None:
    unused = [
        (rule.target, verb)
        for rule in declared()
        for verb in rule.verbs
        if not any(it.verb == verb and allows(rule, it, OWN) for it in used())
    ]
    assert unused == []


def test_secrets_are_made_and_never_read() -> None:
    verbs = {verb for rule in declared() if rule.resource == SECRETS for verb in rule.verbs}
    assert verbs == {"create"}


def test_the_roles_hold_nothing_that_is_everything() -> None:
    text = yaml.safe_dump_all(roles(OWN))
    assert not set(re.findall(r"'\*'|escalate|bind|impersonate|deletecollection", text))
    kinds = [(it["kind"], it["metadata"].get("namespace")) for it in roles(OWN)]
    assert kinds == [("ClusterRole", None), ("Role", OWN)]
    of_namespaces = [(it["kind"], it["metadata"].get("namespace")) for it in roles(OWN, ["a", "b"])]
    assert of_namespaces == [("Role", "a"), ("Role", "b"), ("Role", OWN)]


def test_leases_are_touched_in_the_own_namespace_alone() -> None:
    cluster_role, own = roles(OWN)
    assert not [it for it in cluster_role["rules"] if "leases" in it["resources"]]
    named = [it for it in own["rules"] if set(it["verbs"]) & {"get", "update"}]
    assert all(it["resourceNames"] == ["rl-operator"] for it in named)


def test_rules_of_one_target_are_joined() -> None:
    rules = [Rule(PODS, ("watch",)), Rule(PODS, ("get",)), Rule(PODS, ("get",), subresource="log")]
    assert policy_rules(rules) == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]


@pytest.mark.parametrize("verbs", [(), ("*",), ("get", "escalate"), ("impersonate",), ("bind",)])
def test_a_rule_that_grants_too_much_can_not_be_written(verbs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pods: name the verbs"):
        Rule(PODS, verbs)


def test_a_rule_that_rbac_would_ignore_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="can't bind create"):
        Rule(PODS, ("create",), names=("x",))
