"""Wrong values for the fields of a document: each is wrong by the type and the bounds of the field alone."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from rl_platform.spec import patterns
from rl_platform.spec.algorithms import AlgorithmSpec
from rl_platform.spec.fields import Quantity, SpecModel
from rl_platform.spec.problems import Path, path_text
from tests.spec.jobs import Document, limits_of

UNFIT = {
    patterns.DNS_LABEL: ["A", "-a", "a_b", "a\n", "a.b", "é"],
    patterns.OBJECT_NAME: ["A", ".a", "a_b", "a\n"],
    patterns.NO_SPACE: ["a b", "a\n", "\t", " a", "a\x0bb"],
    patterns.TRACKING_URI: ["file:///a", "http://", "http:// a", "mlflow", "sqlite://a", "http://a\x0bb"],
    patterns.ENTRYPOINT: ["a", "a:", "a:b:c", "a.:b", "1a:b", "a:b\n", "a b:c"],
    patterns.MODULE_OR_ENTRYPOINT: ["", "a:", "a.", "1", "a:b\n", "a-b"],
    patterns.LABEL_VALUE: ["a b", "-a", "a\n", "é"],
    patterns.QUANTITY: ["", "-1", "1e3", "1 Gi", "Gi", "1KB", ".5", "1.", "1\n"],
    patterns.VARIABLE: ["", "1A", "A-B", "A\n"],
    patterns.MOUNT_PATH: ["", "data", "/a:b"],
    patterns.ABSOLUTE_PATH: ["", "app"],
    patterns.VERSION: ["2", "2.60", "v2.60.0", "2.60.0\n"],
    patterns.MODEL_NAME: ["a/b", "a:b", "a@b"],
    patterns.ALIAS: ["1a", "a b", "a.b"],
}
"""By pattern, texts that it does not take; the trailing line breaks are where engines differ on ``$``."""


class Spoiled(NamedTuple):
    """One way to spoil a document. ``apply`` changes it in place."""

    path: str
    what: str
    apply: Callable[[], None]


def spoilings(model: type[SpecModel], document: Document, path: Path, random: Random) -> Iterator[Spoiled]:
    """Ways to spoil a document of ``model``: one for each field, and one or two for each object."""
    yield _put(document, "noSuchField", random.choice([1, "a", {}, [], False]), path, "unknown field")
    for info in model.model_fields.values():
        name = str(info.alias)
        inner = model_in(info.annotation)
        if info.is_required() and name in document:
            yield Spoiled(path_text((*path, name)), "missing", partial(document.pop, name, None))
        yield _put(document, name, random.choice(_wrong(info.annotation, list(info.metadata))), path, "value")
        if inner is None or (model is AlgorithmSpec and name not in document):
            continue
        below = document.get(name)
        if below is None and not info.is_required() and info.default_factory is not None:
            below = {} if get_origin(info.annotation) is None else []
            if below == {}:
                yield from _created(document, name, inner, (*path, name), random)
                continue
        yield from _below(inner, below, (*path, name), random)


def _below(inner: type[SpecModel], below: Any, path: Path, random: Random) -> Iterator[Spoiled]:
    if isinstance(below, dict):
        yield from spoilings(inner, below, path, random)
    elif isinstance(below, list):
        for index, item in enumerate(below):
            yield from spoilings(inner, item, (*path, index), random)


def _created(
    document: Document, name: str, inner: type[SpecModel], path: Path, random: Random
) -> Iterator[Spoiled]:
    """In a section that is absent, and is made for it."""
    made: Document = {}
    for spoiled in spoilings(inner, made, path, random):

        def apply(spoil: Callable[[], None] = spoiled.apply) -> None:
            spoil()
            document[name] = made

        yield spoiled._replace(apply=apply)


def _put(document: Document, name: str, value: Any, path: Path, what: str) -> Spoiled:
    def apply() -> None:
        document[name] = value

    return Spoiled(path_text((*path, name)), f"{what} {str(value)[:40]!r}", apply)


def model_in(annotation: Any) -> type[SpecModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return annotation
    return next((found for it in get_args(annotation) if (found := model_in(it))), None)


def _wrong(annotation: Any, metadata: list[Any]) -> list[Any]:
    """Values that a field of this type does not take. None is never among them: it means absent."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Quantity:
        return [1.5, -1, True, [], {}, 2**63, *UNFIT[patterns.QUANTITY], "9" * 33]
    if origin is Annotated:
        return _wrong(arguments[0], [*metadata, *arguments[1:]])
    if origin in (Union, types.UnionType):
        (only,) = (it for it in arguments if it is not types.NoneType)
        return _wrong(only, metadata)
    if origin is Literal:
        return ["no-such", str(arguments[0]).upper(), "", 3, True, []]
    limits = limits_of(metadata)
    if origin is tuple:
        item = _wrong(arguments[0], [])
        too_few = [[]] if limits.get("min_length") else []
        return [{}, "a", 3, [None], *([it] for it in item), *too_few]
    if origin is dict:
        return [[], "a", 3, True, *_wrong_entries(arguments, limits)]
    return _wrong_plain(annotation, limits)


def _wrong_entries(arguments: tuple[Any, ...], limits: dict[str, Any]) -> list[Any]:
    key, value = arguments
    if get_origin(key) is Literal:
        return [{"noSuchField": {}}]
    too_many: Any = dict.fromkeys(map(str, range(limits["max_length"] + 1)), "1")
    return [too_many] if value is Any else [too_many, *({"a": it} for it in _wrong(value, []))]


def _wrong_plain(kind: type, limits: dict[str, Any]) -> list[Any]:
    if issubclass(kind, SpecModel):
        return [[], "a", 3, True]
    if issubclass(kind, bool):
        return ["true", 1, 0, "", {}]
    if issubclass(kind, str):
        long = ["a" * (limits["max_length"] + 1)] if limits["max_length"] < 10_000 else []
        short = [""] if limits.get("min_length") else []
        return [3, 0.5, True, ["a"], {}, *long, *short, *UNFIT.get(limits.get("pattern", ""), [])]
    return [
        *_beyond(kind, limits),
        "3",
        "3e-4",
        "1e6",
        True,
        [],
        {},
        *([1.5] if issubclass(kind, int) else []),
    ]


def _beyond(kind: type, limits: dict[str, Any]) -> Iterator[float]:
    step = 1 if issubclass(kind, int) else 0.5
    if "ge" in limits:
        yield limits["ge"] - step
    if "gt" in limits:
        yield limits["gt"]
    if "le" in limits:
        yield limits["le"] + max(step, limits["le"] * 1e-3) if kind is float else limits["le"] + 1
