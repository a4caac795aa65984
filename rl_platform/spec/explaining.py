"""pydantic's errors as sentences: what was wrong with a field, what would be right, which name was meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from rl_platform.spec.fields import SpecModel
from rl_platform.spec.patterns import SENTENCES
from rl_platform.spec.problems import Path, path_text
from rl_platform.spec.yaml_reading import read_scalar


class Explanation(NamedTuple):
    """``path`` in the document, what is wrong there, what would be right."""

    path: Path
    message: str
    hint: str


def explain(error: Mapping[str, Any], root: type[SpecModel], document: Any = None) -> Explanation:
    """One of ``ValidationError.errors()`` of ``root``; ``document`` helps to guess what was meant."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    kind, context, value = str(error["type"]), error.get("ctx", {}), error["input"]
    if kind == "rule":
        return Explanation(path, context["message"], context["hint"])
    if kind == "extra_forbidden":
        return Explanation(path, "is not a known field", _which_field(path, root, document))
    if kind == "missing":
        return Explanation(path, "is missing", _meaning(path, root))
    if kind == "value_error":  # what free JSON may not hold
        message, _, hint = str(context["error"]).partition("; ")
        return Explanation(path, message, hint)
    if "[key]" in error["loc"]:
        path, value = path[:-1], path[-1]
        return Explanation(
            path, f"has the key {_shown(value)}", f"as a key {_expected(kind, context, value)}"
        )
    return Explanation(path, f"is {_shown(value)}", _expected(kind, context, value))


def _expected(kind: str, context: Mapping[str, Any], value: Any) -> str:
    """What would be right, from what pydantic says of it."""
    if kind in ("literal_error", "enum"):
        return _which_value(context["expected"], value)
    if kind == "string_pattern_mismatch":
        return SENTENCES[str(context["pattern"])]
    if kind in _BOUNDS:
        ((_, limit),) = context.items()
        return f"{_BOUNDS[kind]} {limit:g}" if isinstance(limit, float) else f"{_BOUNDS[kind]} {limit}"
    if kind in ("too_long", "too_short"):
        limit = context.get("max_length", context.get("min_length"))
        return (
            f"{'at most' if kind == 'too_long' else 'at least'} {limit}, and not {context['actual_length']}"
        )
    if kind in ("string_too_long", "string_too_short"):
        limit = context.get("max_length", context.get("min_length"))
        return f"{'at most' if kind == 'string_too_long' else 'at least'} {limit} characters are needed"
    if kind in ("int_type", "int_from_float") and isinstance(value, float) and abs(value) >= LARGEST:
        return "a smaller number is needed"
    return _TYPES.get(kind, "another value is needed") + _quotes(kind, value)


LARGEST = 2.0**63
"""Whole numbers from here on are read as floats."""
_BOUNDS = {
    "greater_than": "it must be greater than",
    "greater_than_equal": "it must be at least",
    "less_than": "it must be less than",
    "less_than_equal": "it must be at most",
}
_TYPES = {
    "int_type": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "finite_number": "a finite number is needed",
    "bool_type": "true or false is needed",
    "string_type": "text is needed",
    "tuple_type": "a list is needed, such as [a, b]",
    "dict_type": "a map is needed, such as {name: value}",
    "model_type": "a map of fields is needed",
}


def _quotes(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return ': put it in quotes ("…")'
    bare = read_scalar(value) if isinstance(value, str) else None
    wanted = {"int_type": int, "float_type": int | float, "bool_type": bool}.get(kind)
    if wanted and isinstance(bare, wanted) and isinstance(bare, bool) == (wanted is bool):
        return ": remove the quotes"
    return ""


def _shown(value: Any) -> str:
    """The value as YAML would show it, with its type where that is not plain to see."""
    if isinstance(value, dict):
        return f"a map with {', '.join(map(str, list(value)[:3]))}" if value else "an empty map"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"


def _which_value(expected: str, value: Any) -> str:
    allowed = re.findall(r"'([^']*)'", expected)
    guess = get_close_matches(str(value), allowed, n=1, cutoff=0.5) or [
        it for it in allowed if isinstance(value, str) and it.lower() == value.lower()
    ]
    among = f"one of {', '.join(allowed)}" if len(allowed) > 1 else f"it must be {allowed[0]}"
    return f"did you mean {guess[0]}? ({among})" if guess and len(allowed) > 1 else among


def _which_field(path: Path, root: type[SpecModel], document: Any) -> str:
    """The name that was probably meant, here or elsewhere in the manifest."""
    name, model = str(path[-1]), _model_at(path[:-1], root)
    here = _names(model)
    plain = {it.lower(): it for it in here}
    near = get_close_matches(name.replace("_", "").lower(), plain, n=1, cutoff=0.7)
    if near:
        return f"did you mean {plain[near[0]]}?"
    elsewhere = [it for it in _every_path(root) if it[-1] == name]
    if elsewhere:
        likely = min(elsewhere, key=lambda it: (not _has(document, it[:-1]), "schedules" in it, len(it)))
        return f"did you mean {path_text(likely)}?"
    return f"{path_text(path[:-1]) or 'the document'} has {', '.join(here)}"


def _meaning(path: Path, root: type[SpecModel]) -> str:
    model = _model_at(path[:-1], root)
    for info in model.model_fields.values():
        if info.alias == path[-1] and info.description:
            return f"it is needed: {info.description.rstrip('.')}"
    return "it is needed"


def _names(model: type[SpecModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_at(path: Path, root: type[SpecModel]) -> type[SpecModel]:
    model = root
    for part in path:
        for info in model.model_fields.values():
            inner = _inner_model(info.annotation)
            if info.alias == part and inner is not None:
                model = inner
    return model


def _inner_model(annotation: Any) -> type[SpecModel] | None:
    """The model in an optional or a list of models."""
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return annotation
    return next((model for it in get_args(annotation) if (model := _inner_model(it))), None)


def _has(document: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True


def _every_path(model: type[SpecModel], prefix: Path = ()) -> Iterator[Path]:
    for info in model.model_fields.values():
        path = (*prefix, info.alias or "")
        yield path
        inner = _inner_model(info.annotation)
        if inner is not None and path != ("status",):
            yield from _every_path(inner, path)
