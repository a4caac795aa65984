"""Least privilege: what the modules that call the API server declare, as Roles.

A module states its rules in ``RULES``, beside the calls that need them. Nothing is granted that no module
declares; a test compares what was used with what is declared, both ways. ``python -m rl_operator.rbac``
prints the roles.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rl_operator.runtime.resources import Resource

ROLE_NAME = "rl-operator"
NEEDS_NO_NAME = {"create", "list", "watch"}


@dataclass(frozen=True, slots=True)
class Rule:
    """``verbs`` as RBAC names them. ``names``: these objects. ``own``: in the operator's namespace only."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()
    own: bool = False

    def __post_init__(self) -> None:
        if not self.verbs or {"*", "escalate", "bind", "impersonate"} & set(self.verbs):
            raise ValueError(f"{self.target}: name the verbs, and none that makes its holder more than it is")
        if self.names and NEEDS_NO_NAME & set(self.verbs):
            raise ValueError(f"{self.target}: RBAC can't bind create, list or watch to names")

    @property
    def target(self) -> str:
        return self.resource.plural + (f"/{self.subresource}" if self.subresource else "")


def declared() -> tuple[Rule, ...]:
    """Of every module of the operator."""
    package = importlib.import_module("rl_operator")
    found: list[Rule] = []
    for module in pkgutil.walk_packages(package.__path__, "rl_operator."):
        if not module.name.endswith("__main__"):
            found += getattr(importlib.import_module(module.name), "RULES", ())
    return tuple(found)


def policy_rules(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """As ``rules`` of a Role, one for each target and set of names, in a fixed order."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for rule in rules:
        verbs.setdefault((rule.resource.group, rule.target, rule.names), set()).update(rule.verbs)
    return [
        {
            "apiGroups": [group],
            "resources": [target],
            **({"resourceNames": list(names)} if names else {}),
            "verbs": sorted(allowed),
        }
        for (group, target, names), allowed in sorted(verbs.items())
    ]


def roles(operator_namespace: str, namespaces: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A ClusterRole, or a Role in each of ``namespaces``; and a Role for what the operator owns itself."""
    rules = declared()
    everywhere = policy_rules(it for it in rules if not it.own)
    jobs = [_role("Role", everywhere, it) for it in namespaces] or [_role("ClusterRole", everywhere, None)]
    own = _role("Role", policy_rules(it for it in rules if it.own), operator_namespace, f"{ROLE_NAME}-own")
    return [*jobs, own]


def _role(
    kind: str, rules: list[dict[str, Any]], namespace: str | None, name: str = ROLE_NAME
) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}


if __name__ == "__main__":
    # `declared` imports this file once more, under its real name: only that one's Rule is in use.
    sys.stdout.write(yaml.safe_dump_all(roles("rl-platform", sys.argv[1:]), sort_keys=False))
