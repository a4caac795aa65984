"""Requests to an API server and its answers as plain documents; errors are sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from rl_platform.cli.cluster_errors import ClusterError, Unreachable, refusal

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
PAGE = "500"
BUSY_RETRIES, LONGEST_BUSY_SECONDS = 3, 30  # of a request that the server has not begun (429)

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """``status``: HTTP's, below 400."""

    status: int
    document: dict[str, Any]


class Cluster:
    """One API server. Every method raises a ClusterError and nothing else of the network's."""

    def __init__(
        self,
        pool: PoolManager,
        address: str,
        authorization: Callable[[], str | None],
        namespace: str,
        usual_namespace: str,
    ) -> None:
        self._pool, self._address, self._authorization = pool, address.rstrip("/"), authorization
        self.namespace, self._usual_namespace = namespace, usual_namespace

    def hint(self, command: str, name: str, namespace: str | None = None) -> str:
        """A command to type: with the namespace, where it is not the one that is taken anyway."""
        place = namespace or self.namespace
        return f"`rlp {command} {name}{'' if place == self._usual_namespace else f' -n {place}'}`"

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.send("GET", path, query=query, headers=headers).document

    def items(self, path: str, query: Query = ()) -> tuple[list[dict[str, Any]], str]:
        """Every object of a collection, page by page, and the resourceVersion to watch from."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.get(path, (*query, ("limit", PAGE), *((("continue", token),) if token else ())))
            found += page.get("items") or []
            metadata = page.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token:
                return found, str(metadata.get("resourceVersion", ""))

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call. Raises ApiRefusal for a status of 400 or more, Unreachable where no answer came."""
        content = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": content_type, **(headers or {})}
        response = self._request(method, path, query, content, given, ANSWER_SECONDS)
        with _network(self._address, response):
            data = response.data
        if response.status >= 400:
            raise refusal(response.status, data, f"{method} {path}")
        try:
            document = json.loads(data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ClusterError(f"{self._address} answers with something else than JSON: is it an API server?")
        return Answer(response.status, document)

    def lines(self, path: str, query: Query, silence_seconds: float) -> Iterator[bytes]:
        """Lines of a long answer until the server ends it; Unreachable after this much silence."""
        response = self._request("GET", path, query, None, {}, silence_seconds)
        with _network(self._address, response):
            if response.status >= 400:
                raise refusal(response.status, response.data, f"GET {path}")
            rest = b""
            for chunk in response.stream(2**16):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole

    def _request(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        headers: Mapping[str, str],
        read_seconds: float,
    ) -> BaseHTTPResponse:
        from urllib3 import Retry, Timeout

        url = self._address + quote(path, safe="/:") + (f"?{urlencode(query)}" if query else "")
        authorization = self._authorization()
        with _network(self._address):
            return self._pool.request(
                method,
                url,
                body=body,
                headers={**headers, **({"Authorization": authorization} if authorization else {})},
                timeout=Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                retries=Retry(
                    total=BUSY_RETRIES,
                    connect=0,
                    read=0,
                    other=0,
                    redirect=0,
                    status_forcelist=[429],
                    allowed_methods=None,
                    raise_on_status=False,
                    retry_after_max=LONGEST_BUSY_SECONDS,
                ),
                preload_content=False,
                redirect=False,
            )


@contextmanager
def _network(address: str, response: BaseHTTPResponse | None = None) -> Iterator[None]:
    """Turns the network's errors into Unreachable, and ends a connection that was not read to its end."""
    from urllib3.exceptions import HTTPError

    read = False
    try:
        yield
        read = True
    except (HTTPError, OSError) as error:
        raise Unreachable(f"the API server {address} {_why(error)}") from error
    finally:
        if response is not None:
            if not read:
                response.close()
            response.release_conn()


def _why(error: BaseException) -> str:
    """Why no answer came, without the client's wrapping."""
    from urllib3 import exceptions

    cause = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
    if isinstance(cause, exceptions.SSLError):
        return f"cannot be trusted: {cause}"
    if isinstance(cause, exceptions.NameResolutionError):
        return "has a name that cannot be resolved: check the kubeconfig's server and the network"
    if isinstance(cause, exceptions.NewConnectionError):
        why = str(getattr(cause.__cause__, "strerror", None) or cause).lower()
        return f"does not answer: {why}; is it running, and is this its address?"
    if isinstance(cause, exceptions.TimeoutError):
        return "does not answer in time"
    return f"broke the connection: {cause}"
