"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) on documents that must not be changed in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class PatchRefused(Exception):
    """An operation does not apply: its path is not there, or a test fails."""


def merge(target: Any, patch: Any) -> Any:
    """Null removes, in maps within lists too, as in the server's library; anything but maps replaces."""
    if isinstance(patch, list):
        return [merge(None, each) if each is not None else None for each in patch]
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply(document: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """Raises PatchRefused."""
    for operation in operations:
        document = _apply(document, operation)
    return document


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    path = _parts(operation["path"])
    match operation["op"]:
        case "test":
            if _get(document, path) != operation.get("value"):
                raise PatchRefused(f"testing value {operation['path']} failed")
            return document
        case "add":
            return _put(document, path, operation["value"], insert=True)
        case "replace":
            _get(document, path)
            return _put(document, path, operation["value"], insert=False)
        case "remove":
            return _remove(document, path)
        case "copy":
            return _put(document, path, _get(document, _parts(operation["from"])), insert=True)
        case "move":
            start = _parts(operation["from"])
            value = _get(document, start)
            return _put(_remove(document, start), path, value, insert=True)
    raise PatchRefused(f"unknown operation {operation['op']}")


def _parts(pointer: str) -> list[str]:
    return [it.replace("~1", "/").replace("~0", "~") for it in pointer.split("/")[1:]]


def _get(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = _child(document, part)
    return document


def _child(document: Any, part: str) -> Any:
    if isinstance(document, dict) and part in document:
        return document[part]
    if isinstance(document, list) and part.isdigit() and int(part) < len(document):
        return document[int(part)]
    raise PatchRefused(f"no {part}")


def _put(document: Any, path: Sequence[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(document, dict):
        below = _put(_child(document, first), rest, value, insert=insert) if rest else value
        return {**document, first: below}
    if not isinstance(document, list):
        raise PatchRefused(f"no {first}")
    if rest:
        index = int(first) if first.isdigit() else -1
        below = _put(_child(document, first), rest, value, insert=insert)
        return [*document[:index], below, *document[index + 1 :]]
    index = len(document) if first == "-" else int(first)
    if index > len(document):
        raise PatchRefused(f"no {first}")
    return [*document[:index], value, *document[index if insert else index + 1 :]]


def _remove(document: Any, path: Sequence[str]) -> Any:
    first, rest = path[0], path[1:]
    below = _child(document, first)
    if isinstance(document, dict):
        kept = {key: value for key, value in document.items() if key != first}
        return {**document, first: _remove(below, rest)} if rest else kept
    index = int(first)
    return [*document[:index], *([_remove(below, rest)] if rest else []), *document[index + 1 :]]
