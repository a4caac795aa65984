"""The reading end of ``progress.jsonl``: which reports are still to be sent, and how few of them suffice.

A report is sent where the last one sent is at least a five-hundredth of the run's age before it: all of a
short run, and of ten hours some five thousand points per metric. Evaluations are always sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rl_platform.tracking.report import Report

SHARE_OF_AGE = 0.002
READ_BYTES = 4 << 20
ALWAYS = "evaluation/"


@dataclass(frozen=True, slots=True)
class Position:
    """How far the file was sent: bytes, a checksum of the line before, and when the next point is due."""

    offset: int = 0
    checksum: int = 0
    due_at: float = 0.0  # wall seconds of the run

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def position_in(path: Path, document: dict[str, Any]) -> Position:
    """The saved position, if the file still has the line that it stands behind; else the start of the file.

    A resumed run cuts its file at a checkpoint; what was sent before the cut is told apart by its env steps.
    """
    try:
        saved = Position(**document)
    except TypeError:
        return Position()
    return saved if saved.offset and _checksum_before(path, saved.offset) == saved.checksum else Position()


def unsent(path: Path, position: Position) -> tuple[list[Report], Position]:
    """The reports worth sending after ``position``, and the position behind them. Reads 4 MiB at most.

    A line without its newline is left for the next time; a damaged one is passed over.
    """
    try:
        with open(path, "rb") as file:
            file.seek(position.offset)
            block = file.read(READ_BYTES)
    except FileNotFoundError:
        return [], position
    end = block.rfind(b"\n") + 1
    if not end:
        return [], position
    lines = block[:end].splitlines(keepends=True)
    picked, due_at = thinned(_reports(lines), position.due_at)
    return picked, Position(position.offset + end, zlib.crc32(lines[-1]), due_at)


def last_report(path: Path) -> Report | None:
    """The last whole line, which ends a run's curves whether or not it was due."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - READ_BYTES))
            block = file.read()
    except FileNotFoundError:
        return None
    lines = block[: block.rfind(b"\n") + 1].splitlines()
    return next(_reports(reversed(lines)), None)


def thinned(reports: Iterable[Report], due_at: float) -> tuple[list[Report], float]:
    """The reports that are due from ``due_at`` (wall seconds) on, and when the next one is."""
    picked = []
    for report in reports:
        due = report.wall_seconds >= due_at
        if due or any(key.startswith(ALWAYS) for key in report.metrics):
            picked.append(report)
        if due:
            due_at = report.wall_seconds * (1 + SHARE_OF_AGE)
    return picked, due_at


def _reports(lines: Iterable[bytes]) -> Iterator[Report]:
    for line in lines:
        try:
            yield Report.from_line(line)
        except ValueError:
            continue


def _checksum_before(path: Path, offset: int) -> int | None:
    """Of the line that ends at ``offset``; None where the file has no line end there."""
    try:
        with open(path, "rb") as file:
            start = max(0, offset - READ_BYTES)
            file.seek(start)
            block = file.read(offset - start)
    except FileNotFoundError:
        return None
    if len(block) != offset - start or not block.endswith(b"\n"):
        return None
    return zlib.crc32(block[block.rfind(b"\n", 0, -1) + 1 :])
