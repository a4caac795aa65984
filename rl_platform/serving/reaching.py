"""Whether an MLflow server is there, found out without MLflow.

Its import alone takes seconds, and by default it tries an absent server for four minutes.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from rl_platform.spec.tracking_uri import without_password

REACH_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_POLL_SECONDS = 0.2
_HEALTH = "/health"


def why_away(
    server: str, stop: Callable[[], bool] = lambda: False, seconds: float | None = None
) -> str | None:
    """None as soon as ``server`` answers anything, an error too; otherwise, after so many seconds, why not.

    None also for a database, and as soon as ``stop`` says that nobody waits any longer.
    """
    if not server.startswith("http"):
        return None
    seconds = REACH_SECONDS if seconds is None else seconds
    knocking = _Knocking(without_password(server), seconds)
    knocking.start()
    while knocking.is_alive() and not stop():
        knocking.join(_POLL_SECONDS)
    if knocking.answered or knocking.is_alive():
        return None
    return f"MLflow at {without_password(server)} did not answer for {seconds:.0f} s ({knocking.fault})"


class _Knocking(threading.Thread):
    """In a thread, because a server that takes a connection and says nothing holds up whoever asks."""

    def __init__(self, server: str, seconds: float) -> None:
        super().__init__(name="mlflow-knocking", daemon=True)
        self._url, self._until = server.rstrip("/") + _HEALTH, time.monotonic() + seconds
        self.answered, self.fault = False, ""

    def run(self) -> None:
        while not self.answered and (left := self._until - time.monotonic()) > 0:
            self.answered = self._ask(left)
            if not self.answered:
                time.sleep(max(0.0, min(_PAUSE_SECONDS, self._until - time.monotonic())))

    def _ask(self, seconds: float) -> bool:
        # Only whether somebody is there: no name and password are sent, so any certificate will do.
        trusting = ssl._create_unverified_context()
        try:
            urllib.request.urlopen(self._url, timeout=seconds, context=trusting).close()
        except urllib.error.HTTPError:
            return True
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.fault = str(getattr(error, "reason", error)) or type(error).__name__
            return False
        return True
