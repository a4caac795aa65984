"""Every head of `operator_scale.py` in one process: ``operator_heads ADDRESS PORT...`` until it is ended.

The driver of each trains, and its figures stand still. Real heads are on other machines: as little as can be is done.
"""

from __future__ import annotations

import asyncio
import json
import sys

END = b"\r\n\r\n"
JOB = {"status": "RUNNING", "type": "SUBMISSION", "message": ""}
PROGRESS = {
    "attempt": 1, "state": "Training", "envSteps": 123456, "updates": 120, "episodeReturnMean": 12.5,
    "desiredGeneration": 1,
}  # fmt: skip


def _answer(document: object) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d%b%b" % (len(body), END, body)


OF_RAY, OF_THE_DRIVER = _answer(JOB), _answer(PROGRESS)


class _Head(asyncio.Protocol):
    """Only requests without a body come here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._pending = transport, b""

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(END)
        for each in requests:
            self._transport.write(OF_RAY if each.startswith(b"GET /api/jobs/") else OF_THE_DRIVER)


async def serve(address: str, ports: list[int]) -> None:
    for port in ports:
        await asyncio.get_running_loop().create_server(_Head, address, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], [int(port) for port in sys.argv[2:]]))
