"""A small HTTP server that speaks the Ray Jobs API as Ray 2.60 does, and really starts what is submitted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from rl_operator.driver_contact import DriverOrder, Head
from rl_operator.names import DASHBOARD_PORT, DRIVER_PORT
from rl_operator.reach import Direct
from rl_operator.runtime.transport import ConnectionLost, Request, Response

TOKEN = "rlp_0123456789abcdef"
NODE = "479dfe5b"
CALLS_KEPT = 10_000


@dataclass
class Started:
    """What was submitted: its process runs in a group of its own, as Ray's does."""

    process: subprocess.Popen[bytes]
    log: Path
    stopped: bool = False

    def document(self, identity: str) -> dict[str, Any]:
        code = self.process.poll()
        if code is None:
            status = "RUNNING"
        elif self.stopped:
            status, code = "STOPPED", None
        else:
            status = "FAILED" if code else "SUCCEEDED"
        return {
            "submission_id": identity,
            "status": status,
            "driver_exit_code": code,
            "message": "as Ray says",
            "driver_node_id": NODE,
        }


@dataclass
class RayHead:
    """``hangs``: seconds that every answer takes. Counts what it was asked."""

    folder: Path
    hangs: float = 0.0
    jobs: dict[str, Started] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.head = self  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for job in self.jobs.values():
            if job.process.poll() is None:
                os.killpg(job.process.pid, signal.SIGKILL)
            job.process.wait()

    def submit(self, identity: str, entrypoint: str, env: dict[str, str]) -> None:
        log = self.folder / f"{identity}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                entrypoint, shell=True, env=os.environ | env, stdout=out, stderr=out, start_new_session=True
            )
        self.jobs[identity] = Started(process, log)

    def stop(self, identity: str) -> None:
        job = self.jobs[identity]
        job.stopped = True
        if job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGTERM)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _serve(self) -> None:
        head = cast(RayHead, self.server.head)  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        head.calls.append(f"{self.command} {self.path}")
        del head.calls[:-CALLS_KEPT]
        time.sleep(head.hangs)
        if self.headers.get("X-Ray-Authorization") != f"Bearer {TOKEN}":
            return self._say(401, "Unauthorized: Missing authentication token")
        if self.path.startswith("/api/v0/logs/file?"):
            return self._say_log(head, parse_qs(urlsplit(self.path).query))
        _, _, rest = self.path.partition("/api/jobs/")
        identity, _, what = rest.partition("/")
        if self.command == "POST" and not identity:
            return self._submit(head, json.loads(body))
        if identity not in head.jobs:
            return self._say(404, f"Job {identity} does not exist")
        if what == "stop":
            head.stop(identity)
            return self._say(200, json.dumps({"stopped": True}))
        return self._say(200, json.dumps(head.jobs[identity].document(identity)))

    def _say_log(self, head: RayHead, query: dict[str, list[str]]) -> None:
        if query["node_id"] != [NODE]:
            return self._say(500, "500 Internal Server Error\n\nServer got itself in trouble")
        lines = head.jobs[query["submission_id"][0]].log.read_text(errors="replace").splitlines(True)
        return self._say(200, "".join(lines[-int(query["lines"][0]) :]))

    def _submit(self, head: RayHead, document: dict[str, Any]) -> None:
        identity = document["submission_id"]
        if identity in head.jobs:
            return self._say(500, f"ValueError: Job with submission_id {identity} already exists.")
        head.submit(identity, document["entrypoint"], document["runtime_env"]["env_vars"])
        return self._say(200, json.dumps({"job_id": identity, "submission_id": identity}))

    def _say(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Here:
    """`Reach` to heads on this machine, whose ports are not the usual ones. ``cut``: none can be reached."""

    ray: dict[str, int]  # port of the Jobs API, by pod
    driver_port: int = 1
    cut: bool = False
    sent: list[Request] = field(default_factory=list)

    def send(self, head: Head, port: int, request: Request) -> Response:
        self.sent.append(request)
        del self.sent[:-CALLS_KEPT]
        if self.cut:
            raise ConnectionLost("cut off")
        return Direct().send(
            head, {DASHBOARD_PORT: self.ray[head.pod], DRIVER_PORT: self.driver_port}[port], request
        )


def order_for(attempt: int = 1, pod: str = "head", **changes: Any) -> DriverOrder:
    head = Head("ns", pod, f"uid-of-{pod}", "127.0.0.1")
    fields: dict[str, Any] = {
        "submission_id": f"u-{attempt}",
        "attempt": attempt,
        "head": head,
        "token": TOKEN,
    }
    return DriverOrder(**(fields | changes))
