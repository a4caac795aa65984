"""One line a record, JSON or plain text, and no secret in any of them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TextIO

from rl_platform.spec.hiding import HIDDEN, hide

SHORTEST_SECRET = 8
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Replaces known secrets, and what is shaped like one, in a text."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[str]]] = []

    def add(self, source: Callable[[], Iterable[str]]) -> None:
        """``source`` is asked for each text, because tokens are renewed."""
        self._sources.append(source)

    def __call__(self, text: str) -> str:
        for source in self._sources:
            for secret in source():
                if len(secret) >= SHORTEST_SECRET:
                    text = text.replace(secret, HIDDEN)
        return hide(text)


class JsonLines(logging.Formatter):
    """Fields given by ``extra`` stand beside time, level, logger and message."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        hidden = {
            name: self._redact(value) if isinstance(value, str) else value for name, value in fields.items()
        }
        return self._redact(json.dumps(hidden, default=str))


class TextLines(logging.Formatter):
    """For people."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        text = f"{_time(record)} {record.levelname:<7} {record.getMessage()}{extra}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return self._redact(text)


def start_logging(level: str, form: str, redact: Redactor, stream: TextIO | None = None) -> None:
    """Everything goes to ``stream``, standard error by default. ``form``: json or text."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(redact) if form == "json" else TextLines(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # At debug level it would log headers and paths of every call.
    logging.getLogger("urllib3").setLevel(logging.WARNING)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    """``key`` (namespace and name of a job) as one word."""
    extra = {name: value for name, value in vars(record).items() if name not in STANDARD}
    key = extra.get("key")
    if isinstance(key, tuple):
        extra["key"] = "/".join(map(str, key))
    return extra


def _time(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
