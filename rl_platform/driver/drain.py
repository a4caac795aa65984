"""Ctrl-C and SIGTERM ask a run to checkpoint and stop; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rl_platform.envs.watchdog import stand_still


class Drain:
    """Whether the run was asked to stop, and by what."""

    def __init__(self, on_request: Callable[[str], None] = lambda by: None) -> None:
        self.requested_by: str | None = None
        self.signals = 0  # received so far
        self._on_request = on_request
        self._noticed = False

    def noticed(self) -> bool:
        """Whether it was asked; ``on_request`` hears of it here, once, and never inside a signal handler."""
        if self.requested_by is not None and not self._noticed:
            self._noticed = True
            self._on_request(self.requested_by)
        return self._noticed

    def request(self, by: str) -> None:
        self.requested_by = self.requested_by or by

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen to SIGINT and SIGTERM inside this block, and to Ctrl-Z unless somebody else does. Outside
        the main thread nothing is installed.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP)
        before = {number: signal.getsignal(number) for number in numbers}
        signal.signal(signal.SIGINT, self._received)
        signal.signal(signal.SIGTERM, self._received)
        if before[signal.SIGTSTP] is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, stand_still)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signals += 1
        if self.requested_by and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)
