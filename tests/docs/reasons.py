"""Every reason that the operator can write into a condition, from its source and from the words it shares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from rl_platform.spec.conditions import FailureReason, StopReason
from tests.contracts.source_files import ROOT

OPERATOR = ROOT / "operator" / "rl_operator"
MAKERS = {"Holds", "Ending", "Verdict", "Pending", "Refusal"}
REASON = re.compile(r"[A-Z][A-Za-z]{3,}")
STATUSES = {"True", "False"}


def reasons() -> set[str]:
    found = {word for path in sorted(OPERATOR.glob("*.py")) for word in _in(ast.parse(path.read_text()))}
    return found | {it.value for it in FailureReason} | {it.value for it in StopReason}


def _in(tree: ast.Module) -> Iterator[str]:
    """Words given to what makes conditions, those assigned to a reason, those that lead a returned tuple."""
    for node in ast.walk(tree):
        places: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in MAKERS:
                places = [*node.args, *(it.value for it in node.keywords)]
        elif isinstance(node, ast.Assign) and "reason" in ast.unparse(node.targets[0]):
            places = [node.value]
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            places = node.value.elts[:1]
        for place in places:
            yield from _words(place)


def _words(place: ast.expr) -> Iterator[str]:
    asked = {id(it) for node in ast.walk(place) if isinstance(node, ast.Compare) for it in ast.walk(node)}
    said = [it for it in ast.walk(place) if isinstance(it, ast.Constant) and id(it) not in asked]
    texts = [it.value for it in said if isinstance(it.value, str)]
    yield from (it for it in texts if REASON.fullmatch(it) and it not in STATUSES)
