"""What goes on, on standard error: on a terminal a line that is redrawn; elsewhere one now and then."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0


class LiveLine:
    """One line, and perhaps one below it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.next = 0.0

    def due(self) -> bool:
        """Whether it is time to show something new; then not again for a while."""
        now = time.monotonic()
        if now < self.next:
            return False
        self.next = now + (REDRAW_SECONDS if self.live else LINE_SECONDS)
        return True

    def write(self, text: str, below: str = "") -> None:
        """Show this."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            under = f"\n{below[:width]}\r\x1b[1A" if below else ""
            self.stream.write(f"\r\x1b[J{text[:width]}{under}")
        else:
            self.stream.write(f"{text}\n{below}\n" if below else f"{text}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self.live:
            self.stream.write("\r\x1b[J")
            self.stream.flush()
