"""Documents as YAML whose numbers and texts are spelled in the ways that people and programs spell them."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from rl_platform.spec.yaml_reading import read_scalar

_PLAIN = re.compile(r"[A-Za-z0-9_.+/~-][A-Za-z0-9_.+/@%*é-]*(:[A-Za-z0-9_./+-]+)*")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def spelled(value: Any, random: Random) -> str:
    """YAML that reads as ``value``: 1e6, 0x10, 3.0e-4, on, plain and quoted texts."""
    if isinstance(value, dict):
        fields = (f"{_text(key, random)}: {spelled(item, random)}" for key, item in value.items())
        return f"{{{', '.join(fields)}}}"
    if isinstance(value, list):
        return f"[{', '.join(spelled(item, random) for item in value)}]"
    if isinstance(value, str):
        return _text(value, random)
    return random.choice([it for it in _ways(value) if _same(read_scalar(it), value)])


def _same(read: object, value: object) -> bool:
    return read == value and isinstance(read, bool) == isinstance(value, bool)


def _ways(value: bool | int | float | None) -> list[str]:
    if value is None:
        return ["null", "~", "Null"]
    if isinstance(value, bool):
        return ["true", "True", "yes", "on"] if value else ["false", "FALSE", "no", "Off"]
    ways = [repr(value), f"{value:.17g}", f"{value:.3e}", f"{value:.1E}", f"{value:e}", f"+{value!r}"]
    if isinstance(value, int):
        ways += [str(value), f"{value}.0", f"{value:#x}", f"0o{value:o}", f"0{value:o}", f"{value:_}"]
        ways += [f"{value // 10**6}e6", f"{value // 1000}e+03"]
    return ways


def _text(text: str, random: Random) -> str:
    if random.random() < 0.5 and _PLAIN.fullmatch(text) and read_scalar(text) == text and text[:3] != "---":
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)
