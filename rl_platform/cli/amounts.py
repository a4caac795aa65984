"""Amounts and texts as people read them: durations, ages, counts, bars, tables, no control characters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

BAR_CELLS = 24


def duration(seconds: float) -> str:
    """Two units at most: ``41 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def age(time: str | None, now: datetime) -> str:
    """How long ago a time of the API server's was, in one unit, as in a table; empty where there is none."""
    moment = parse_time(time)
    if moment is None:
        return ""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def parse_time(time: str | None) -> datetime | None:
    """None for what is no time; a time without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(time or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def short_count(number: float) -> str:
    """Four digits at most: ``950``, ``70.1k``, ``140k``, ``1.25M``."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def bar(share: float) -> str:
    """``[######......]``: full only at 1."""
    full = min(BAR_CELLS, int(max(0.0, share) * BAR_CELLS))
    return f"[{'#' * full}{'.' * (BAR_CELLS - full)}]"


def plain(text: object) -> str:
    """One line without control characters: texts of others may not move the cursor or colour the screen."""
    return "".join(each if each.isprintable() else " " for each in str(text)).strip()


def clipped(text: str, width: int) -> str:
    """At most ``width`` columns, for characters of one column."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell, three spaces apart, without trailing spaces."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
