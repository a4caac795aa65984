"""Lines of JSON between the driver and its MLflow writer, over the pipes of a child process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import Any


class Channel:
    """The child's end. A driver that is gone is no error: `receive` says so."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._parent = os.getppid()
        self._buffer = b""
        self.alone = False
        """Whether the driver is gone."""

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message; None where none came within so many seconds or the driver is gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer and not self.alone:
            wait = max(0.0, deadline - time.monotonic())
            if not select.select([self._source], [], [], wait)[0]:
                # Whoever was forked from the driver may hold the pipe open after the driver's death.
                self.alone = os.getppid() != self._parent
                return None
            block = os.read(self._source, 65536)
            self.alone = not block
            self._buffer += block
        line, newline, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] | None = json.loads(line) if newline else None
        return message

    def send(self, **message: Any) -> None:
        """To the driver, if it is still there."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._sink, json.dumps(message).encode() + b"\n")
