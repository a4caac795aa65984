"""What every model of the spec is built from: the strict base class, rules between fields, bounded types.

A manifest is validated as the API server would: JSON types only, nothing unknown, a null is an absent field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError


class Fault(NamedTuple):
    """A rule between fields that is broken. ``path``: from the model that states the rule to the field."""

    path: tuple[str | int, ...]
    message: str  # what is wrong
    hint: str  # what would be right


class SpecModel(BaseModel):
    """Frozen; camelCase outside, snake_case in Python; strict types and no unknown fields."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    def faults(self) -> Iterator[Fault]:
        """The rules between fields that this model breaks."""
        yield from ()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        """The API server prunes nulls before it fills in defaults; an unknown field stays, to be refused."""
        if not isinstance(data, dict):
            return data
        known = {name for key, info in cls.model_fields.items() for name in (key, info.alias)}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @model_validator(mode="after")
    def _refuse_faults(self) -> SpecModel:
        lines = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "rule", "{message}; {hint}", {"message": it.message, "hint": it.hint}
                ),
                loc=it.path,
                input=None,
            )
            for it in self.faults()
        ]
        if lines:
            raise ValidationError.from_exception_data(type(self).__name__, lines)
        return self


T = TypeVar("T")
ListOf = Annotated[tuple[T, ...], Strict(False)]
"""Immutable in Python, where a list may be given too; always used with a ``max_length``."""

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_MODULE = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"

DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Message = Annotated[str, Field(max_length=32768)]
Uri = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^[^\s]+$")]
Entrypoint = Annotated[str, Field(max_length=512, pattern=rf"^{_MODULE}:{_MODULE}$")]
ModuleOrEntrypoint = Annotated[str, Field(max_length=512, pattern=rf"^{_MODULE}(:{_MODULE})?$")]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]

Steps = Annotated[int, Field(ge=1, le=10**13)]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Return = Annotated[float, Field(ge=-1e15, le=1e15)]

JSON_DEPTH = 32
JSON_VALUES = 10_000
JSON_TEXT = 65_536
JSON_KEY = 1024


def _bounded_json(document: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON cannot say or a manifest should not carry; the message names the place."""
    open_values: list[tuple[str, int, Any]] = [("", 0, document)]
    seen = 0
    while open_values:
        path, depth, value = open_values.pop()
        seen += 1
        if seen > JSON_VALUES or depth > JSON_DEPTH:
            raise ValueError(f"is too large; {JSON_VALUES} values and {JSON_DEPTH} levels are allowed")
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
        if not isinstance(key, str) or len(key) > JSON_KEY or not is_unicode(key):
            raise ValueError(f"has the key {str(key)[:40]!r} at {path or 'the top'}; keys are short strings")


def _refuse_scalar(value: Any, path: str) -> None:
    if isinstance(value, str):
        if len(value) > JSON_TEXT:
            raise ValueError(f"has {len(value)} characters at {path}; {JSON_TEXT} are allowed")
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


def is_unicode(text: str) -> bool:
    """False where a lone surrogate stands, which UTF-8 cannot write."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


JsonMap = Annotated[dict[str, Any], AfterValidator(_bounded_json), Field(max_length=1000)]
"""Free JSON of bounded size; in a structural schema an object that preserves unknown fields."""


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(max_length=32, pattern=r"^[0-9]+(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"),
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": r"^[0-9]+(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        }
    ),
]
"""A Kubernetes quantity: a whole number, or a string such as ``500m`` or ``8Gi``; kept as a string."""
