"""What every model of the spec is built from: the strict base class, rules between fields, bounded types.

A manifest is validated as the API server would: JSON types only, nothing unknown, a null is an absent field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import (
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

from rl_platform.spec import patterns


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
        if not isinstance(data, dict) or None not in data.values():
            return data
        known = {name for key, info in cls.model_fields.items() for name in (key, info.alias)}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    @model_validator(mode="after")
    def _refuse_faults(self) -> SpecModel:
        if type(self).faults is SpecModel.faults:
            return self  # most models have no such rules, and a job is made of dozens
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


def without_nulls(value: Any) -> Any:
    """A map as the API server stores it: a null is an absent entry, as it is an absent field."""
    return {key: it for key, it in value.items() if it is not None} if isinstance(value, dict) else value


DnsLabel = Annotated[str, Field(min_length=1, max_length=63, pattern=patterns.DNS_LABEL)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=patterns.OBJECT_NAME)]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Message = Annotated[str, Field(max_length=32768)]
Uri = Annotated[str, Field(min_length=1, max_length=2048, pattern=patterns.NO_SPACE)]
Entrypoint = Annotated[str, Field(max_length=512, pattern=patterns.ENTRYPOINT)]
ModuleOrEntrypoint = Annotated[str, Field(max_length=512, pattern=patterns.MODULE_OR_ENTRYPOINT)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=patterns.LABEL_VALUE)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64), BeforeValidator(without_nulls)]

Steps = Annotated[int, Field(ge=1, le=10**13)]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Return = Annotated[float, Field(ge=-1e15, le=1e15)]


def _as_text(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if whole and value < 2**63 else value  # larger ones are no integers in Kubernetes


Quantity = Annotated[
    str,
    Field(max_length=32, pattern=patterns.QUANTITY),
    BeforeValidator(_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "maxLength": 32,
            "pattern": patterns.QUANTITY,
        }
    ),
]
"""A Kubernetes quantity: a whole number, or a string such as ``500m`` or ``8Gi``; kept as a string."""
