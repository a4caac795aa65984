"""values.yaml and the README's table, from the models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from helm.authoring.values import Values

HEADER = "# Made from the models in helm/authoring by `make chart`. Change those, not this file.\n"


def values_yaml() -> str:
    """Every value with its default, each under what it is for."""
    return HEADER + "\n".join(_lines(Values())) + "\n"


def values_table() -> str:
    """Rows of Markdown: name, default, description."""
    rows = [f"| `{name}` | `{_shown(value)}` | {text} |" for name, value, text in _leaves(Values(), "")]
    return "\n".join(["| value | default | what it is for |", "|---|---|---|", *rows]) + "\n"


def _lines(model: BaseModel) -> Iterator[str]:
    for name, info in type(model).model_fields.items():
        value, key = getattr(model, name), info.alias or name
        yield f"# {info.description}"
        if isinstance(value, BaseModel) and type(value).model_fields:
            yield f"{key}:"
            yield from (textwrap.indent(line, "  ") for line in _lines(value))
        else:
            yield yaml.safe_dump({key: _plain(value)}, sort_keys=False).rstrip("\n")


def _leaves(model: BaseModel, above: str) -> Iterator[tuple[str, Any, str]]:
    for name, info in type(model).model_fields.items():
        value, path = getattr(model, name), f"{above}{info.alias or name}"
        if isinstance(value, BaseModel) and type(value).model_fields:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value, str(info.description)


def _shown(value: Any) -> str:
    return yaml.safe_dump(_plain(value), default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _plain(value: Any) -> Any:
    """Whole numbers without a fraction, as a person writes them."""
    if isinstance(value, Mapping):
        return dict(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
