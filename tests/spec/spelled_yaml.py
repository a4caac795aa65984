"""Documents as YAML whose numbers and texts are spelled in the ways that people and programs spell them."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import yaml

from rl_platform.spec.yaml_reading import read_scalar

_TAGS = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}


def spelled(document: Any, random: Random) -> str:
    """YAML that reads as ``document``: 1e6, 0x10, 3.0e-4, on, plain and quoted texts."""
    dumper = partial(_Speller, random)
    return str(yaml.dump(document, Dumper=dumper, sort_keys=False, width=10**6))


class _Speller(yaml.SafeDumper):
    """Takes the API server's notion of what a plain scalar is, not PyYAML's."""

    def __init__(self, random: Random, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.random = random

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        if kind is not yaml.ScalarNode:
            return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
        if value == "<<" and implicit[0]:
            return "tag:yaml.org,2002:merge"
        return f"tag:yaml.org,2002:{_TAGS[type(read_scalar(value))] if implicit[0] else 'str'}"


def _spell(dumper: _Speller, value: bool | int | float | None) -> yaml.ScalarNode:
    fitting = [it for it in _ways(value) if _same(read_scalar(it), value)]
    chosen = dumper.random.choice(fitting)
    return dumper.represent_scalar(f"tag:yaml.org,2002:{_TAGS[type(read_scalar(chosen))]}", chosen)


def _same(read: object, value: object) -> bool:
    return read == value and isinstance(read, bool) == isinstance(value, bool)


def _ways(value: bool | int | float | None) -> list[str]:
    if value is None:
        return ["null", "~", "Null", ""]
    if isinstance(value, bool):
        return ["true", "True", "yes", "on"] if value else ["false", "FALSE", "no", "Off"]
    ways = [repr(value), f"{value:.17g}", f"{value:.3e}", f"{value:.1E}", f"{value:e}", f"+{value!r}"]
    if isinstance(value, int):
        ways += [str(value), f"{value}.0", f"{value:#x}", f"0o{value:o}", f"0{value:o}", f"{value:_}"]
        ways += [f"{value // 10**6}e6", f"{value // 1000}e+03"]
    return ways


def _spell_text(dumper: _Speller, text: str) -> yaml.ScalarNode:
    quoted = not text.isprintable() or dumper.random.random() < 0.5
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


for _type in (bool, int, float, type(None)):
    _Speller.add_representer(_type, _spell)
_Speller.add_representer(str, _spell_text)
