"""What differs between two documents, field by field, for a person to check."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rl_platform.cli.amounts import clipped, plain
from rl_platform.spec.problems import Path, path_text

ABSENT = object()
VALUE_WIDTH = 60


def changes(before: Any, after: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Path, old and new value of every leaf that differs; ABSENT where a side has no such field.

    Lists are leaves: their items have no names.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            yield from changes(before.get(name, ABSENT), after.get(name, ABSENT), (*path, name))
    elif before is ABSENT or after is ABSENT or before != after:
        yield path, before, after


def change_text(change: tuple[Path, Any, Any]) -> str:
    """``spec.stop.envSteps: 140000 → 200000``."""
    path, before, after = change
    return f"{path_text(path)}: {_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    return "(absent)" if value is ABSENT else clipped(plain(json.dumps(value)), VALUE_WIDTH)
