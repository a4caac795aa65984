"""Where live progress goes: a block of lines that is redrawn on a terminal, elsewhere a line per change."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from rl_platform.cli.amounts import clipped

UP, CLEAR_BELOW = "\x1b[{}F", "\x1b[J"


class Screen:
    """Costs a write only where something differs from what is shown."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._block: list[str] = []
        self._line = ""

    def show(self, block: Sequence[str], line: str, now: datetime) -> None:
        """``block`` replaces the one before; without a terminal ``line`` is added, if it is another one."""
        if not self.live:
            if line != self._line:
                self._line = line
                self._write(f"{now.astimezone():%H:%M:%S} {line}\n")
            return
        width = shutil.get_terminal_size().columns
        shown = [clipped(each, width - 1) for each in block]  # a full line would wrap, and count as two
        if shown != self._block:
            self._write(self._erased() + "".join(f"{each}\n" for each in shown))
            self._block = shown

    def add(self, line: str, now: datetime) -> None:
        """A line that stays, above the block."""
        self._write(f"{self._erased()}{now.astimezone():%H:%M:%S} {line}\n")
        block, self._block = self._block, []
        self._write("".join(f"{each}\n" for each in block))
        self._block = block

    def close(self, lines: Sequence[str] = ()) -> None:
        """Leave ``lines`` in the place of the block."""
        self._write(self._erased() + "".join(f"{each}\n" for each in lines))
        self._block = []

    def _erased(self) -> str:
        return UP.format(len(self._block)) + CLEAR_BELOW if self._block else ""

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
