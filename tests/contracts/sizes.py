"""Sizes as a report: how many lines files and functions have. Beyond the hard limits it fails.

Run it as ``python -m tests.contracts.sizes``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.source_files import LIBRARY, python_files, shown


@dataclass(frozen=True, slots=True)
class Limit:
    """Lines that are aimed at, and lines that are too many."""

    aim: int
    most: int


FILE = Limit(150, 400)
FUNCTION = Limit(30, 80)


@dataclass(frozen=True, slots=True)
class Size:
    """Something and its lines."""

    where: str
    lines: int
    limit: Limit

    @property
    def too_large(self) -> bool:
        return self.lines > self.limit.most


def sizes(path: Path) -> Iterator[Size]:
    """The file itself, then every function in it with all it holds, decorators not counted."""
    text = path.read_text()
    yield Size(shown(path), len(text.splitlines()), FILE)
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Size(f"{shown(path)}:{node.lineno} {node.name}", lines, FUNCTION)


def report(paths: Iterable[Path], listed: Path = LIBRARY) -> tuple[str, bool]:
    """The text, and whether all is within the hard limits. Above the aim, only ``listed`` is listed."""
    everything = [(path, size) for path in paths for size in sizes(path)]
    failures = [size for _, size in everything if size.too_large]
    above = [
        size
        for path, size in everything
        if path.is_relative_to(listed) and size.limit.aim < size.lines and not size.too_large
    ]
    lines = [f"  too large ({size.limit.most}): {size.lines:4} {size.where}" for size in failures]
    lines += [
        f"  above {size.limit.aim:3}: {size.lines:4} {size.where}"
        for size in sorted(above, key=lambda s: -s.lines)
    ]
    files = [size.lines for _, size in everything if size.limit is FILE]
    lines.insert(0, f"Sizes: {sum(files):,} lines in {len(files)} files; {len(failures)} too large")
    return "\n".join(lines), not failures


if __name__ == "__main__":
    text, good = report(python_files())
    print(text)
    sys.exit(not good)
