"""TrainingJobs on a real API server, over connections that stay open; manifests go as YAML."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rl_platform.spec.crd import PLURAL, custom_resource_definition
from rl_platform.spec.training_job import API_VERSION, KIND
from tests.apiserver.control_plane import ControlPlane

Json = dict[str, Any]
_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
_NO_PLACE = "<nil>"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and document of an API server's answer."""

    code: int
    document: Json

    @property
    def accepted(self) -> bool:
        return self.code in (200, 201)

    @property
    def message(self) -> str:
        return str(self.document.get("message", ""))

    @property
    def paths(self) -> list[str]:
        """The fields that a refusal names."""
        causes = self.document.get("details", {}).get("causes", [])
        named = [cause["field"] for cause in causes if cause["field"] != _NO_PLACE]
        return named or _UNKNOWN.findall(self.message)


class TrainingJobs:
    """One connection, for one thread. ``install`` once for a server."""

    def __init__(self, server: ControlPlane, namespace: str = "default") -> None:
        self.root = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"
        self._token = server.token
        self._connection = http.client.HTTPSConnection(
            urlsplit(server.url).netloc,
            context=ssl.create_default_context(cafile=str(server.ca_file)),
            timeout=60,
        )

    @staticmethod
    def install(server: ControlPlane) -> None:
        server.install_crd(custom_resource_definition())

    def try_out(self, manifest: str) -> Answer:
        """Everything that creating it would do, except to keep it. Unknown fields are refused."""
        query = "dryRun=All&fieldValidation=Strict"
        return self.send("POST", f"{self.root}?{query}", manifest.encode(), "application/yaml")

    def create(self, document: Json) -> Answer:
        return self.send("POST", f"{self.root}?fieldValidation=Strict", _bytes(document))

    def replace(self, document: Json, *, dry_run: bool = False) -> Answer:
        """PUT, whatever version is there."""
        document = {**document, "metadata": {"name": document["metadata"]["name"]}}
        present = self.send("GET", f"{self.root}/{document['metadata']['name']}").document
        document["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        query = "?dryRun=All" if dry_run else ""
        return self.send("PUT", f"{self.root}/{document['metadata']['name']}{query}", _bytes(document))

    def merge(self, name: str, patch: Json, subresource: str = "") -> Answer:
        path = f"{self.root}/{name}{subresource}"
        return self.send("PATCH", path, _bytes(patch), "application/merge-patch+json")

    def table(self) -> Json:
        """What ``kubectl get`` prints."""
        return self.send("GET", self.root, accept="application/json;as=Table;g=meta.k8s.io;v=v1").document

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": content,
            "Accept": accept,
        }
        try:
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
        except (OSError, http.client.RemoteDisconnected):  # the server closes what was idle for long
            self._connection.close()
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
        return Answer(reply.status, json.loads(reply.read()))


def job_of(name: str, spec: Json) -> Json:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def _bytes(document: Json) -> bytes:
    return json.dumps(document).encode()
