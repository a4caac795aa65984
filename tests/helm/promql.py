"""Just enough of PromQL to see which metrics a query asks for."""

from __future__ import annotations

import re

WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "group_left", "group_right"}
GROUPING = re.compile(r"\b(by|on|without|ignoring)\s*\([^)]*\)")
QUOTED = re.compile(r'"(\\.|[^"\\])*"')
RANGE = re.compile(r"\[[^\]]*\]")
OFFSET = re.compile(r"\boffset\s+\w+")
MATCHERS = re.compile(r"\{[^}]*\}")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b")


def metric_names(query: str) -> set[str]:
    """Names outside matchers that are no function, keyword or label."""
    for pattern in (QUOTED, MATCHERS, RANGE, OFFSET, GROUPING):
        query = pattern.sub(" ", query)
    functions = set(re.findall(r"([a-z_0-9]+)\s*\(", query))
    return {it for it in re.findall(NAME, query) if it.lower() not in WORDS and it not in functions}
