"""Times as Kubernetes writes them (RFC 3339, whole seconds, UTC) and as clocks give them (epoch seconds)."""

from __future__ import annotations

from datetime import UTC, datetime


def written(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(int(epoch_seconds), UTC).isoformat().replace("+00:00", "Z")


def read(text: str) -> float:
    """Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def seconds_since(text: str | None, now: float) -> float:
    """Never negative: clocks of two machines differ. Zero where there is no time."""
    return max(0.0, now - read(text)) if text else 0.0
