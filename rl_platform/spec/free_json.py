"""Free JSON in a manifest (keyword arguments, a custom algorithm's config, pod overrides), bounded."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

DEPTH = 32
VALUES = 10_000
TEXT = 65_536
KEY = 1024


def is_unicode(text: str) -> bool:
    """False where a lone surrogate stands, which UTF-8 cannot write."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _bounded_json(document: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON cannot say or a manifest should not carry; the message names the place."""
    open_values: list[tuple[str, int, Any]] = [("", 0, document)]
    seen = 0
    while open_values:
        path, depth, value = open_values.pop()
        seen += 1
        if seen > VALUES or depth > DEPTH:
            raise ValueError(f"is too large; {VALUES} values and {DEPTH} levels are allowed")
        if isinstance(value, dict):
            _refuse_keys(value, path)
            inner = [(f"{path}.{key}".lstrip("."), item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        else:
            _refuse_scalar(value, path)
            continue
        open_values.extend((name, depth + 1, item) for name, item in inner)
    return document


def _refuse_keys(value: dict[Any, Any], path: str) -> None:
    for key in value:
        if not isinstance(key, str) or len(key) > KEY or not is_unicode(key):
            raise ValueError(f"has the key {str(key)[:40]!r} at {path or 'the top'}; keys are short strings")


def _refuse_scalar(value: Any, path: str) -> None:
    if isinstance(value, str):
        if len(value) > TEXT:
            raise ValueError(f"has {len(value)} characters at {path}; {TEXT} are allowed")
        if not is_unicode(value):
            raise ValueError(f"has half a character at {path}; text is Unicode")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"has {value} at {path}; JSON knows finite numbers only")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"has {value} at {path}; whole numbers have 64 bits")
    elif value is not None:
        raise ValueError(f"has a {type(value).__name__} at {path}; JSON has no such type")


JsonMap = Annotated[dict[str, Any], Field(max_length=1000), AfterValidator(_bounded_json)]
"""Free JSON of bounded size; in a structural schema an object that preserves unknown fields."""
