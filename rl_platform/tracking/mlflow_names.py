"""What MLflow takes: legal names, bounded values, batches of bounded size. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_KEY = 250
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 5000
_ILLEGAL = re.compile(r"[^A-Za-z0-9_\-. :/]")

T = TypeVar("T")


def legal_key(key: str) -> str:
    """The name with illegal characters as ``_``, without empty, ``.`` and ``..`` parts, at most 250 long.

    Nor may it begin with ``..``, which MLflow takes for a way out of its folder.
    """
    parts = [part for part in _ILLEGAL.sub("_", key).split("/") if part.strip(". ")]
    legal = "/".join(parts)[:MAX_KEY].rstrip("/") or "_"
    return f"_{legal[1:]}" if legal.startswith("..") else legal


def legal_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics under legal names; an infinity becomes NaN, because MLflow would plot it as 1.8e308."""
    return {
        legal_key(key): float(value) if math.isfinite(value) else math.nan for key, value in metrics.items()
    }


def flat_params(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A JSON document as params: ``algorithm.ppo.gamma`` → ``0.99``; lists stay whole, nulls are left out."""
    params: dict[str, str] = {}
    for key, value in document.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            params |= flat_params(value, path)
        elif value is not None:
            params[_free_key(legal_key(path), params)] = _text(value)[:MAX_PARAM_VALUE]
    return params


def in_chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Consecutive slices of at most ``size`` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _free_key(key: str, taken: Mapping[str, str]) -> str:
    """Keys that differ only in illegal characters are told apart by a number."""
    number, free = 2, key
    while free in taken:
        free = f"{key[: MAX_KEY - 6]}_{number}"
        number += 1
    return free


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(value)
