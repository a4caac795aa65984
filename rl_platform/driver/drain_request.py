"""``python -m rl_platform.driver.drain_request``: the driver on this machine saves a checkpoint and ends.

The preStop hook of a head: Ray kills the driver as soon as it is asked to stop itself. It must start at once
on a machine that is short of everything, so it needs the standard library alone.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from pathlib import Path

from rl_platform.spec.driver_places import DRAIN_PATH, PORT_ENV, TOKEN_FILE_ENV, TOKEN_HEADER

POLL_SECONDS = 0.2
ANSWER_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """0: no driver runs here (any more); 1: it still does; 2: it cannot be asked."""
    parser = argparse.ArgumentParser(prog="python -m rl_platform.driver.drain_request", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to wait for the driver's end")
    until = time.monotonic() + parser.parse_args(arguments).seconds
    port, token_file = os.environ.get(PORT_ENV, ""), os.environ.get(TOKEN_FILE_ENV)
    if not port.isdecimal():
        return _refuse(f"{PORT_ENV} is {port!r}; it must be the port of the driver")
    token = Path(token_file).read_text().strip() if token_file else ""
    while True:
        # Repeated until it has ended: the answer to an earlier request may have been lost.
        status = _ask(int(port), token)
        if status is None:
            return 0
        if status in (401, 403):
            return _refuse(f"the driver refuses the token in {token_file} (status {status})")
        if time.monotonic() >= until:
            sys.stderr.write("the driver has not ended in time\n")
            return 1
        time.sleep(POLL_SECONDS)


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def _ask(port: int, token: str) -> int | None:
    """The status of the answer, 0 without one; None where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", DRAIN_PATH, headers={TOKEN_HEADER: f"Bearer {token}"} if token else {})
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
