"""HTTP to a cluster: the `kubernetes` client finds it, and its credentials stay fresh; the bytes are ours.

Only configuration loading, token refresh and socket options of the client are used: its generated API
classes would cost memory, drop unknown fields and hide timeouts.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config import ConfigException, incluster_config
from kubernetes.config.kube_config import load_kube_config
from kubernetes.utils.keepalive import tcp_keepalive_socket_options

from rl_operator.runtime.api_errors import status_document
from rl_operator.runtime.transport import ConnectionLost, Request, Response

CONNECT_TIMEOUT_SECONDS = 10.0
POOLED_CONNECTIONS = 64
USER_AGENT = "rl-operator"
READ_BYTES = 1 << 16
OF_A_CONNECTION = re.compile(r"^(HTTPS?Connection\(.*?\)|<.*? object at 0x\w+>): ")


class NoCluster(Exception):
    """No way to a cluster was found, or what was found can't be used. The message names the file."""


class ClusterTransport:
    """Transport over a configuration of the kubernetes client. Thread-safe; tokens never enter an error."""

    def __init__(self, configuration: Configuration, context: ssl.SSLContext | None) -> None:
        self._configuration = configuration
        self._credentials = threading.Lock()
        self._server = str(configuration.host).rstrip("/")
        self._pool = _pool(configuration, context)

    @property
    def host(self) -> str:
        """Host and port of the API server, for metrics and messages."""
        return urlsplit(self._server).netloc

    def secrets(self) -> tuple[str, ...]:
        """Values that no log line may show."""
        keys = [str(value) for value in self._configuration.api_key.values()]
        return tuple(word for key in keys for word in key.split() if len(word) >= 8)

    def send(self, request: Request) -> Response:
        if request.most_bytes is None:
            answer = self._open(request, stream=False)
            return Response(answer.status, answer.data, _lower(answer))
        until = time.monotonic() + request.timeout_seconds
        answer = self._open(request, stream=True)
        try:
            return Response(answer.status, _bounded(answer, request.most_bytes, until), _lower(answer))
        except (urllib3.exceptions.HTTPError, OSError) as lost:
            raise ConnectionLost(f"{request.method} {request.path}: {_why(lost)}") from None
        finally:
            answer.close()  # what is left of it is not waited for

    def stream(self, request: Request) -> Iterator[bytes]:
        answer = self._open(request, stream=True)
        try:
            if answer.status >= 400:
                yield _status_line(answer)
                return
            yield from _lines(answer)
        except (urllib3.exceptions.HTTPError, OSError) as lost:
            raise ConnectionLost(f"{request.method} {request.path}: {_why(lost)}") from None
        finally:
            answer.close()

    def _open(self, request: Request, *, stream: bool) -> urllib3.BaseHTTPResponse:
        """With ``stream``, the body is still to be read."""
        url = self._server + quote(request.path, safe="/:")
        if request.query:
            url += "?" + urlencode(request.query)
        connect = min(CONNECT_TIMEOUT_SECONDS, request.timeout_seconds)
        try:
            return self._pool.request(
                request.method,
                url,
                body=request.body,
                headers=self._headers(request),
                timeout=urllib3.Timeout(connect=connect, read=request.timeout_seconds),
                retries=False,  # whether a repeat is safe, only the caller knows
                redirect=False,
                preload_content=not stream,
            )
        except (urllib3.exceptions.HTTPError, OSError) as lost:
            raise ConnectionLost(f"{request.method} {request.path} at {self.host}: {_why(lost)}") from None
        except ValueError:
            # http.client quotes the header that it refuses: a token with a line break would be shown.
            raise ConnectionLost(f"{request.method} {request.path}: a header can't be sent") from None

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        token = self._token()
        if token:
            headers["Authorization"] = token
        return headers | dict(request.headers)

    def _token(self) -> str | None:
        """Asking renews it where it has run out: a projected token is read again once a minute."""
        with self._credentials:
            try:
                token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
            except (ConfigException, OSError) as failed:
                raise ConnectionLost(f"no credentials: {type(failed).__name__}") from None
        return token.strip() if token else None


def connect(kubeconfig: Path | None = None, context: str | None = None) -> ClusterTransport:
    """The named kubeconfig, else ``KUBECONFIG``, else the pod's own service account, else ``~/.kube/config``.

    Raises NoCluster.
    """
    files = _kubeconfig(kubeconfig)
    where = files or "service account of this pod"
    try:
        return _from_pod() if files is None else _from_files(files, context)
    except ConfigException as bad:
        # What follows a brace is a part of the file, secrets included.
        raise NoCluster(f"{where}: {str(bad).partition('{')[0].strip()}") from None
    except yaml.YAMLError:
        raise NoCluster(f"{where}: not YAML") from None
    except OSError as bad:
        raise NoCluster(f"{where}: {bad.strerror or type(bad).__name__}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as bad:
        raise NoCluster(f"{where}: not a kubeconfig ({type(bad).__name__})") from None


def _from_pod() -> ClusterTransport:
    """Writes no file: the file system of a pod may be read-only."""
    configuration = Configuration()
    incluster_config.load_incluster_config(configuration)
    return ClusterTransport(configuration, _tls(configuration))


def _from_files(files: str, context: str | None) -> ClusterTransport:
    """Keys and certificates that the client writes to files are removed once they are in memory."""
    configuration = Configuration()
    with tempfile.TemporaryDirectory(prefix="rl-operator-") as written:
        load_kube_config(files, context, configuration, persist_config=False, temp_file_path=written)
        return ClusterTransport(configuration, _tls(configuration))


def _kubeconfig(named: Path | None) -> str | None:
    """Which files, joined as in KUBECONFIG; None: the service account of the pod that this runs in."""
    if named is not None:
        if not named.is_file():
            raise NoCluster(f"{named}: there is no such kubeconfig")
        return str(named)
    if listed := os.environ.get("KUBECONFIG"):
        return listed
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    usual = Path("~/.kube/config").expanduser()
    if not usual.is_file():
        raise NoCluster(
            f"no cluster: KUBECONFIG is not set and {usual} does not exist; give --kubeconfig FILE"
        )
    return str(usual)


def _tls(configuration: Configuration) -> ssl.SSLContext | None:
    if not configuration.host.startswith("https"):
        return None
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Python 3.13 began to refuse certificate authorities without key identifiers; clusters have such.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _pool(configuration: Configuration, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "maxsize": POOLED_CONNECTIONS,
        "socket_options": tcp_keepalive_socket_options(),
    }
    if context is not None:
        options["ssl_context"] = context
        if configuration.tls_server_name:
            options["server_hostname"] = configuration.tls_server_name
    proxy = configuration.proxy
    if not proxy or should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        return urllib3.PoolManager(**options)
    if proxy.startswith("socks"):
        raise NoCluster(f"{urlsplit(proxy).scheme} proxies are not supported: name an http or https proxy")
    return urllib3.ProxyManager(proxy, proxy_headers=configuration.proxy_headers, **options)


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    pending = b""
    for chunk in _chunks(answer):
        *whole, pending = (pending + chunk).split(b"\n")
        yield from (line for line in whole if line)
    if pending:
        yield pending


def _chunks(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Each as soon as it is there. The server sends an event as one chunk, which `read1` gives in pieces."""
    if answer.chunked:
        yield from answer.read_chunked(READ_BYTES)
        return
    while chunk := answer.read1(READ_BYTES):
        yield chunk


def _bounded(answer: urllib3.BaseHTTPResponse, most_bytes: int, until: float) -> bytes:
    """As it comes: what is compressed stays so, since a little of it may become a lot."""
    parts, size = [], 0
    while part := answer.read1(READ_BYTES, decode_content=False):
        size += len(part)
        if size > most_bytes:
            raise OSError(f"the answer has more than {most_bytes} bytes")
        if time.monotonic() > until:
            raise TimeoutError("timed out while reading the answer")
        parts.append(part)
    return b"".join(parts)


def _status_line(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The body, or where something else than the API server answered, a Status made of it."""
    body = answer.read()
    if status_document(body) is not None:
        return body.replace(b"\n", b"")
    retry_after = _lower(answer).get("retry-after", "")
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "code": answer.status,
            "message": body[:500].decode("utf-8", "replace").strip(),
            "details": {"retryAfterSeconds": int(retry_after)} if retry_after.isdigit() else {},
        }
    ).encode()


def _lower(answer: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def _why(lost: Exception) -> str:
    """In words, without the names of objects that urllib3 puts before its messages."""
    refused = isinstance(lost, urllib3.exceptions.NewConnectionError)
    if isinstance(lost, urllib3.exceptions.TimeoutError) and not refused:
        return "timed out"
    return f"{type(lost).__name__}: {OF_A_CONNECTION.sub('', str(lost))}"
