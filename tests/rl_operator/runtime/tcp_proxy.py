"""A TCP proxy that can go silent without closing, as a lost network path does, or cut every connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 1 << 16


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and passes bytes on to ``port``."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._open = threading.Event()
        self._open.set()
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()

    def swallow(self) -> None:
        """From now on bytes of the connections that are open vanish; new ones work."""
        self._open.clear()
        self._open = threading.Event()
        self._open.set()

    def cut(self) -> None:
        """End every connection, under the hands of who reads from it."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._sockets.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, sink, self._open), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, is_open: threading.Event) -> None:
    try:
        while data := source.recv(CHUNK):
            if is_open.is_set():
                sink.sendall(data)
        if is_open.is_set():
            sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
