"""Nested JSON with arrays in it, taken apart into JSON and one tree of arrays, and put together again."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_platform.data.tree import Tree

ARRAY = "__array__"


def split_arrays(value: Any, path: str) -> tuple[Any, Tree]:
    """Arrays become ``{"__array__": path}`` and lie in the tree; numpy scalars become plain numbers.

    Raises TypeError for what is neither JSON nor an array.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        return {ARRAY: path}, {path: value.copy()}
    if isinstance(value, np.generic):
        return value.item(), {}
    if value is None or isinstance(value, bool | int | float | str):
        return value, {}
    if not isinstance(value, dict | list | tuple):
        raise TypeError(
            f"{path} is {type(value).__name__}; expected JSON values and arrays, so that it can be saved"
        )
    arrays: Tree = {}
    parts = []
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, child in items:
        plain, more = split_arrays(child, f"{path}/{key}")
        parts.append((str(key), plain))
        arrays |= more
    return (dict(parts) if isinstance(value, dict) else [plain for _, plain in parts]), arrays


def join_arrays(value: Any, arrays: Tree, path: str) -> Any:
    """The inverse of `split_arrays`; tuples come back as lists and keys as strings."""
    if isinstance(value, dict):
        if value.keys() == {ARRAY}:
            return arrays[value[ARRAY]].copy()
        return {key: join_arrays(child, arrays, f"{path}/{key}") for key, child in value.items()}
    if isinstance(value, list):
        return [join_arrays(child, arrays, f"{path}/{i}") for i, child in enumerate(value)]
    return value
