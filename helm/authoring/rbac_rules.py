"""files/rbac.yaml: what the operator's modules declare beside the calls that need it, merged by object."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import yaml

import rl_operator
from rl_operator.rbac import Rule

HEADER = "# Made from RULES in operator/rl_operator by `make chart`. Change those, not this file.\n"
OUTSIDE = frozenset({"reach"})
"""Modules whose rules only an operator outside the cluster needs: its administrator has them."""


def declared() -> list[Rule]:
    """Every rule of every module that runs in a cluster."""
    rules: list[Rule] = []
    for found in pkgutil.walk_packages(rl_operator.__path__, "rl_operator."):
        name = found.name.rpartition(".")[2]
        if name not in OUTSIDE | {"__main__"}:
            rules += getattr(import_module(found.name), "RULES", ())
    return rules


def policy_rules(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """As a Role has them: one for each target and set of names, verbs sorted."""
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


def rbac_yaml() -> str:
    """``jobs``: where jobs are; ``own``: in the operator's namespace."""
    rules = declared()
    document = {
        "jobs": policy_rules(it for it in rules if not it.own),
        "own": policy_rules(it for it in rules if it.own),
    }
    return HEADER + str(yaml.safe_dump(document, sort_keys=False))
