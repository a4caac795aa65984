"""The Ray Jobs API of one head, as far as a driver needs it: look, submit, stop, the end of the log.

What a POST answers says nothing (a repeated submission gives 500): only looking again decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rl_operator.driver_contact import Head, JobState
from rl_operator.names import DASHBOARD_PORT
from rl_operator.reach import Reach
from rl_operator.runtime.transport import ConnectionLost, Request, Response

JOBS_PATH = "/api/jobs/"
LOG_FILE_PATH = "/api/v0/logs/file"
TOKEN_HEADER = "X-Ray-Authorization"  # through the API server's proxy Authorization is the API server's
TIMEOUT_SECONDS = 5.0
LOG_TIMEOUT_SECONDS = 15.0
LOG_LINES = 2000
LOG_BYTES = 200 * 1024
MESSAGE_LENGTH = 2048


class Unreachable(Exception):
    """Nothing is known: no answer, or one that is none."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A driver as Ray knows it. ``exit_code`` of its process, once that has ended by itself; ``node``: Ray's
    name for where it ran.
    """

    state: JobState
    message: str = ""
    exit_code: int | None = None
    node: str = ""


class JobsApi:
    """Every method raises Unreachable where it needs an answer and there is none."""

    def __init__(self, reach: Reach, head: Head, token: str) -> None:
        self._reach, self._head = reach, head
        self._headers = ((TOKEN_HEADER, f"Bearer {token}"),)

    def get(self, submission_id: str) -> Submission | None:
        """None where this head has no such submission."""
        response = self._ask("GET", JOBS_PATH + submission_id)
        if response.status == 404:
            return None
        document = _document(response)
        try:
            state = JobState(document["status"])
        except (KeyError, ValueError):
            raise Unreachable("the Jobs API answered without a status that is known") from None
        exit_code = document.get("driver_exit_code")
        return Submission(
            state,
            _text(document.get("message"))[-MESSAGE_LENGTH:],
            exit_code if isinstance(exit_code, int) else None,
            _text(document.get("driver_node_id")),
        )

    def submit(self, submission_id: str, entrypoint: str, env: Sequence[tuple[str, str]]) -> None:
        """Whether it was taken is for `get` to say."""
        document = {
            "submission_id": submission_id,
            "entrypoint": entrypoint,
            "runtime_env": {"env_vars": dict(env)},
        }
        with suppress(Unreachable):
            self._ask("POST", JOBS_PATH, json.dumps(document).encode())

    def stop(self, submission_id: str) -> None:
        """SIGTERM, and SIGKILL after the head's RAY_JOB_STOP_WAIT_TIME_S. The outcome is for `get` to say."""
        with suppress(Unreachable):
            self._ask("POST", f"{JOBS_PATH}{submission_id}/stop")

    def log_tail(self, submission_id: str, node: str) -> str:
        """The last LOG_LINES of what the driver wrote, LOG_BYTES at most.

        The Jobs API only gives the whole log, which may have any size; Ray's state API needs the node.
        """
        query = (("node_id", node), ("submission_id", submission_id), ("lines", str(LOG_LINES)))
        response = self._ask("GET", LOG_FILE_PATH, query=query, timeout_seconds=LOG_TIMEOUT_SECONDS)
        if response.status != 200:
            raise Unreachable(f"Ray answered with status {response.status} to a request for the log")
        return response.body[-LOG_BYTES:].decode(errors="ignore")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: tuple[tuple[str, str], ...] = (),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Response:
        request = Request(method, path, query, body, headers=self._headers, timeout_seconds=timeout_seconds)
        try:
            return self._reach.send(self._head, DASHBOARD_PORT, request)
        except ConnectionLost as error:
            raise Unreachable(str(error)) from None


def _text(said: object) -> str:
    """Half a surrogate pair, as Python has for the bytes of a file name, could not be written down."""
    return str(said or "").encode("utf-8", "replace").decode()


def _document(response: Response) -> dict[str, Any]:
    if response.status in (401, 403):
        raise Unreachable(
            "Ray does not take the job's token: its Secret is of another operator or another key"
        )
    if response.status != 200:
        raise Unreachable(f"the Jobs API answered with status {response.status}")
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unreachable("the Jobs API answered with something that is no JSON object")
    return document
