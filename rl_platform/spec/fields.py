"""What every model of the spec is built from: the strict base class, rules between fields, bounded types.

A manifest is validated as the API server would: JSON types only, nothing unknown, a null is an absent field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic import Strict, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError


class Fault(NamedTuple):
    """A rule between fields that does not hold. ``path`` leads to the field, from the model that states the rule."""

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
        """The API server prunes nulls before it fills in defaults."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

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


def _bounded_json(document: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON cannot say or a manifest should not carry; the message names the place."""
    budget = JSON_VALUES

    def visit(value: Any, path: str, depth: int) -> None:
        nonlocal budget
        budget -= 1
        if budget < 0 or depth > JSON_DEPTH:
            raise ValueError(f"is too large: {JSON_VALUES} values and {JSON_DEPTH} levels are allowed")
        if isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str) or len(key) > 1024:
                    raise ValueError(
                        f"has the key {str(key)[:40]!r} at {path or 'the top'}; keys are short strings"
                    )
                visit(item, f"{path}.{key}" if path else key, depth + 1)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                visit(item, f"{path}[{index}]", depth + 1)
        elif isinstance(value, str):
            if len(value) > JSON_TEXT:
                raise ValueError(f"has {len(value)} characters at {path}; {JSON_TEXT} are allowed")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"has {value} at {path}; JSON knows finite numbers only")
        elif value is not None and not isinstance(value, bool | int):
            raise ValueError(f"has a {type(value).__name__} at {path}; JSON has no such type")

    visit(document, "", 0)
    return document


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
