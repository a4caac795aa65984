"""files/rbac.yaml: what the operator's modules declare beside the calls that need it."""

from __future__ import annotations

import yaml

from rl_operator.rbac import declared, policy_rules

HEADER = "# Made from RULES in operator/rl_operator by `make chart`. Change those, not this file.\n"


def rbac_yaml() -> str:
    """``jobs``: rights where jobs are; ``own``: in the operator's namespace."""
    rules = declared()
    document = {
        "jobs": policy_rules(it for it in rules if not it.own),
        "own": policy_rules(it for it in rules if it.own),
    }
    return HEADER + str(yaml.safe_dump(document, sort_keys=False))
