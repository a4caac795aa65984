"""What is wrong with a manifest: where it stands, what was wrong, what would be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

Path = tuple[str | int, ...]
"""From the root of a document to a field: names as in the manifest, and indices of lists."""

_SIMPLE_NAME = re.compile(r"[^.\[\]\"=\s]+")


class Problem(NamedTuple):
    """One thing to mend. ``file``: a path, or ``--set …`` for an override; ``path``: "" is the whole file."""

    file: str
    line: int | None
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self.path, f"{self.message}; {self.hint}" if self.hint else self.message]
        return ": ".join(part for part in parts if part)


class ManifestError(Exception):
    """A manifest cannot be used; ``problems`` has everything that was found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def path_text(path: Path) -> str:
    """As ``--set`` reads it: ``spec.policies[0].name``, ``metadata.labels["a.b/c"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _SIMPLE_NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
