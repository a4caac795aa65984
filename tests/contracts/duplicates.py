"""Finds copied code: the same run of tokens in two places of the library, whatever its layout and comments.

Run it as ``python -m tests.contracts.duplicates``.
"""

from __future__ import annotations

import io
import keyword
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.contracts.source_files import LIBRARY, library_files, shown

LEAST_TOKENS = 60
LEAST_LINES = 6
ALONE = (
    LIBRARY / "serving" / "pyfunc_model.py"
)  # goes into every registered model, where the library is absent
NOT_DONE = ("import", "from", "@", "def", "async", "class")
SKIPPED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
}


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Copy:
    """The same ``tokens`` tokens at two places."""

    first: str
    second: str
    tokens: int


def tokens(text: str) -> list[Token]:
    """What a program does: no comments, layout, docstrings, imports, or signatures (protocols set them)."""
    found: list[Token] = []
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            found += _said(statement)
            statement = []
        elif token.type not in SKIPPED:
            statement.append(token)
    return found


def _said(statement: list[tokenize.TokenInfo]) -> list[Token]:
    if not statement or statement[0].string in NOT_DONE:
        return []
    if len(statement) == 1 and statement[0].type == tokenize.STRING:
        return []
    return [Token(each.string, each.start[0]) for each in statement]


def copies(paths: Iterable[Path], least: int = LEAST_TOKENS, lines: int = LEAST_LINES) -> list[Copy]:
    """Every longest run of at least ``least`` equal tokens over at least ``lines`` lines, once each."""
    streams = {path: tokens(path.read_text()) for path in paths}
    places: defaultdict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    for path, stream in streams.items():
        texts = [token.text for token in stream]
        for start in range(len(texts) - least + 1):
            places[tuple(texts[start : start + least])].append((path, start))
    found: list[Copy] = []
    covered: set[tuple[Path, int, Path, int]] = set()
    for starts in places.values():
        for (path, at), (other, there) in pairwise(starts):
            if (path, at - 1, other, there - 1) not in covered:
                found += _whole(streams, (path, at), (other, there), lines)
            covered.add((path, at, other, there))
    return found


def _whole(
    streams: dict[Path, list[Token]], one: tuple[Path, int], two: tuple[Path, int], lines: int
) -> list[Copy]:
    """The run from two equal windows to where they part; nothing where it overlaps itself or is short."""
    (path, at), (other, there) = one, two
    a, b = streams[path], streams[other]
    length = 0
    while at + length < len(a) and there + length < len(b) and a[at + length].text == b[there + length].text:
        length += 1
    if path == other and at + length > there:
        return []
    if a[at + length - 1].line - a[at].line + 1 < lines or not _has_code(a[at : at + length]):
        return []
    return [Copy(f"{shown(path)}:{a[at].line}", f"{shown(other)}:{b[there].line}", length)]


def _has_code(run: list[Token]) -> bool:
    """Tables of literals and argument lists may look alike; a copy is one that does something."""
    return any(keyword.iskeyword(token.text) and token.text not in ("None", "True", "False") for token in run)


if __name__ == "__main__":
    found = copies(path for path in library_files() if path != ALONE)
    for each in found:
        print(f"copied: {each.first} and {each.second}, {each.tokens} tokens")
    if not found:
        print(f"Duplicates: none of {LEAST_TOKENS} tokens and {LEAST_LINES} lines or more")
    sys.exit(bool(found))
