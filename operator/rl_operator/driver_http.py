"""The driver's own endpoints (`spec.driver_protocol`), as the operator calls them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from rl_operator.driver_contact import Head
from rl_operator.names import DRIVER_PORT
from rl_operator.reach import Reach
from rl_operator.runtime.transport import ConnectionLost, Request, Response
from rl_platform.spec.driver_protocol import (
    ACK_QUERY,
    DESIRED_PATH,
    DRAIN_PATH,
    PROGRESS_PATH,
    TOKEN_HEADER,
    Desired,
    Progress,
)

TIMEOUT_SECONDS = 5.0


class DriverHttp:
    """A driver that does not answer is no error: it may still be starting, or have ended."""

    def __init__(self, reach: Reach, head: Head, token: str) -> None:
        self._reach, self._head = reach, head
        self._headers = ((TOKEN_HEADER, f"Bearer {token}"),)

    def progress(self, acknowledge: int | None = None) -> Progress | None:
        """None where there is none to be had. ``acknowledge``: the attempt whose end has been noted."""
        query = () if acknowledge is None else ((ACK_QUERY, str(acknowledge)),)
        response = self._ask("GET", PROGRESS_PATH, query)
        return read_progress(response.body) if response is not None and response.status == 200 else None

    def put_desired(self, desired: Desired) -> None:
        """Whether it is acted on is for `progress` to say."""
        body = desired.model_dump_json(by_alias=True, exclude_none=True).encode()
        self._ask("PUT", DESIRED_PATH, (), body)

    def drain(self) -> None:
        """Whether it does is for `progress` to say."""
        self._ask("POST", DRAIN_PATH)

    def _ask(
        self, method: str, path: str, query: tuple[tuple[str, str], ...] = (), body: bytes | None = None
    ) -> Response | None:
        request = Request(method, path, query, body, headers=self._headers, timeout_seconds=TIMEOUT_SECONDS)
        with suppress(ConnectionLost):
            return self._reach.send(self._head, DRIVER_PORT, request)
        return None


def read_progress(body: bytes) -> Progress | None:
    """A driver of a later version may say more than is known here: that is left out."""
    try:
        try:
            return Progress.model_validate_json(body)
        except ValidationError as error:
            document = from_json(body)
            for each in error.errors(include_url=False, include_input=False):
                if each["type"] == "extra_forbidden":
                    _remove(document, each["loc"])
            return Progress.model_validate_json(json.dumps(document))
    except ValueError:  # ValidationError is one
        return None


def _remove(document: Any, location: tuple[int | str, ...]) -> None:
    for step in location[:-1]:
        document = document[step]
    del document[location[-1]]
