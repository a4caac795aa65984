from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

from rl_platform.serving.reaching import why_away


def never() -> bool:
    return False


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


class Failing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_is_silent_is_told_in_the_time_that_it_was_given() -> None:
    with mute_server() as port:
        began = time.monotonic()
        away = why_away(f"http://name:secret@127.0.0.1:{port}", never, 2.0)
    assert time.monotonic() - began < 60.0
    assert away == f"MLflow at http://127.0.0.1:{port} did not answer for 2 s (timed out)"


def test_a_server_that_comes_up_meanwhile_is_reached() -> None:
    with mute_server() as port:
        pass
    away = why_away(f"http://127.0.0.1:{port}", never, 1.0)
    assert away is not None
    assert "Connection refused" in away
    answer: list[str | None] = ["not asked"]
    asking = threading.Thread(target=lambda: answer.append(why_away(f"http://127.0.0.1:{port}", never, 60.0)))
    asking.start()
    time.sleep(0.5)  # the first try is refused
    with HTTPServer(("127.0.0.1", port), Failing) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        asking.join(60.0)
        server.shutdown()
    assert answer[-1] is None, "an error is an answer: MLflow will say more of it"


def test_nobody_waits_longer_than_the_run_and_a_database_is_never_away() -> None:
    with mute_server() as port:
        began = time.monotonic()
        assert why_away(f"http://127.0.0.1:{port}", lambda: time.monotonic() > began + 0.5, 600.0) is None
        assert time.monotonic() - began < 60.0
    assert why_away("sqlite:////nowhere/mlflow.db", never, 600.0) is None
