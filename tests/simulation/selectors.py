"""Label and field selectors, as lists and watches take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.answers import bad_request

Json = dict[str, Any]
Matches = Callable[[Json], bool]
SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
SEPARATOR = re.compile(r",(?![^(]*\))")
LABEL_KEY = re.compile(r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")


def labels_match(selector: str) -> Matches:
    """Raises Refused (400)."""
    tests = [_label_test(term) for term in SEPARATOR.split(selector) if term.strip()]

    def matches(document: Json) -> bool:
        labels = document["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _label_test(term: str) -> Callable[[Mapping[str, str]], bool]:
    if match := SET.match(term):
        key, operator, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        wanted = operator == "in"
        return lambda labels: (labels.get(key) in values) == wanted
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        if sign in term:
            key, value = (part.strip() for part in term.split(sign, 1))
            _check(key)
            if "=" in value:
                raise bad_request(f"unable to parse requirement: {term}")
            return lambda labels: (labels.get(key) == value) == wanted
    negated = term.strip().startswith("!")
    key = term.strip().lstrip("!")
    _check(key)
    return lambda labels: (key in labels) != negated


def _check(key: str) -> None:
    if not LABEL_KEY.match(key):
        raise bad_request(f"unable to parse requirement: {key}")


def fields_match(selector: str) -> Matches:
    """Equality on any field; the real server has a list of fields for each kind."""
    tests: list[tuple[list[str], str, bool]] = []
    for term in filter(None, selector.split(",")):
        wanted = "!=" not in term
        path, value = term.split("!=" if not wanted else "=", 1)
        tests.append((path.split("."), value.lstrip("="), wanted))

    def matches(document: Json) -> bool:
        return all((_at(document, path) == value) == wanted for path, value, wanted in tests)

    return matches


def _at(document: Any, path: list[str]) -> str:
    for part in path:
        document = document.get(part) if isinstance(document, dict) else None
    return "" if document is None else str(document)
