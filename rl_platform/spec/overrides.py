"""``--set spec.seed=3``: fields changed on a document before it is validated, and what set them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rl_platform.spec.problems import Path, Problem, path_text
from rl_platform.spec.yaml_reading import read_documents

_PART = re.compile(r'\.?([^.\[\]"=\s]+)|\[([0-9]{1,6})\]|\["([^"]*)"\]')


class _OverrideError(Exception):
    """``args``: path, what was wrong, what would be right."""


def apply_overrides(
    document: dict[str, Any], overrides: Sequence[str]
) -> tuple[dict[Path, str], list[Problem]]:
    """Change ``document`` in place, left to right.

    Returns which override set which path, and what could not be applied.
    A value is YAML (``3e-4``, ``[64, 64]``, ``{kind: linear}``); null or nothing removes the field.
    """
    origins: dict[Path, str] = {}
    problems: list[Problem] = []
    for override in overrides:
        source = f"--set {override}"
        try:
            path, value = _parse(override)
            _assign(document, path, value)
            origins = {old: by for old, by in origins.items() if old[: len(path)] != path}
            origins[path] = source
        except _OverrideError as error:
            problems.append(Problem(source, None, *error.args))
    return origins, problems


def _parse(override: str) -> tuple[Path, Any]:
    name, equals, text = override.partition("=") if '["' not in override else _split_quoted(override)
    if not equals:
        raise _OverrideError(name.strip(), "has no value", "write FIELD=VALUE, such as spec.seed=3")
    path: list[str | int] = []
    position, name = 0, name.strip()
    while position < len(name):
        match = _PART.match(name, position)
        if match is None or (match[0].startswith(".") != (position > 0 and match[1] is not None)):
            raise _OverrideError(name, "is not a field's path", "such as spec.model.hidden[0]")
        path.append(int(match[2]) if match[2] is not None else match[1] or match[3] or "")
        position = match.end()
    if not path:
        raise _OverrideError("", "names no field", "write FIELD=VALUE, such as spec.seed=3")
    documents, problems = read_documents(text, "")
    if problems:
        raise _OverrideError(name, problems[0].message, problems[0].hint)
    if len(documents) > 1:
        raise _OverrideError(name, "has several values", "one value in YAML")
    return tuple(path), documents[0].value if documents else None


def _split_quoted(override: str) -> tuple[str, str, str]:
    """Split at the first ``=`` that does not stand in a quoted name."""
    outside = re.sub(r'\["[^"]*"\]', lambda match: "_" * len(match[0]), override)
    at = outside.find("=")
    return (override, "", "") if at < 0 else (override[:at], "=", override[at + 1 :])


def _assign(document: dict[str, Any], path: Path, value: Any) -> None:
    place: Any = document
    for depth, part in enumerate(path[:-1]):
        _check_step(place, part, path[:depth])
        below = place[part] if isinstance(part, int) else place.get(part)
        if below is None:
            # Nothing is made before it is sure that all of the path can be.
            _check_new(path, depth + 1)
            below = {}
            place[part] = below
        place = below
    last = path[-1]
    _check_step(place, last, path[:-1])
    if value is None and isinstance(place, dict):
        place.pop(last, None)
    else:
        place[last] = value


def _check_step(place: Any, part: str | int, at: Path) -> None:
    text = path_text(at)
    if isinstance(part, str):
        if isinstance(place, list):
            hint = "name an item by its place, such as [0]"
            raise _OverrideError(text, f"is a list and has no field {part!r}", hint)
        if not isinstance(place, dict):
            raise _OverrideError(text, f"is {place!r} and has no field {part!r}", "only a map has fields")
    elif not isinstance(place, list):
        raise _OverrideError(text, f"is not a list, so it has no item {part}", "set the whole of it")
    elif part >= len(place):
        raise _OverrideError(text, f"has {len(place)} items and no item {part}", "counting starts at 0")


def _check_new(path: Path, begin: int) -> None:
    for depth in range(begin, len(path)):
        if isinstance(path[depth], int):
            message = f"is not set, so it has no item {path[depth]}"
            raise _OverrideError(path_text(path[:depth]), message, "set the whole list")
