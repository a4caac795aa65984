"""Times of Leases and Events: RFC 3339 in microseconds. For people to read; nothing compares them."""

from __future__ import annotations

from datetime import UTC, datetime


def micro_time() -> str:
    """Now."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
