"""A real etcd and kube-apiserver for tests, from the folder named by ``KUBEBUILDER_ASSETS``, as envtest does.

No controllers run: owners collect nothing, a deleted namespace stays Terminating, pods stay Pending.
The flags are envtest's (controller-runtime, pkg/internal/testing/controlplane), with tokens for certificates.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.apiserver.program import Program, free_port

ADMIN_TOKEN = "admin-token"
RESTRICTED_USERS: Mapping[str, tuple[str, str]] = {
    "operator": (
        "system:serviceaccount:rl-platform:rl-operator",
        "system:serviceaccounts,system:authenticated",
    ),
    "author": ("author", "system:authenticated"),
    "stranger": ("stranger", "system:authenticated"),
}
"""Token → user and groups. None has a right until a test binds a role to it."""

PATCH_TYPES = {"json": "application/json-patch+json", "merge": "application/merge-patch+json"}
START_SECONDS = 90.0  # a busy machine


class ControlPlane:
    """etcd and kube-apiserver on free ports, with their data in ``folder``.

    ``url``, ``token`` (system:masters), ``ca_file`` and ``kubeconfig`` stay the same over restarts.
    """

    def __init__(self, assets: Path, folder: Path) -> None:
        self.folder = folder
        self.token = ADMIN_TOKEN
        self.ca_file = folder / "pki" / "apiserver.crt"
        self.kubeconfig = folder / "kubeconfig"
        self._port, self._etcd_port, peer_port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.etcd_url = f"http://127.0.0.1:{self._etcd_port}"
        self._write_settings()
        self.etcd = Program(self._etcd_command(assets / "etcd", peer_port), folder / "etcd.log")
        self.server = Program(self._server_command(assets / "kube-apiserver"), folder / "apiserver.log")

    def start(self) -> None:
        self.start_etcd()
        self.start_server()

    def stop(self) -> None:
        self.server.stop()
        self.etcd.stop()

    def start_etcd(self) -> None:
        self.etcd.start()
        self.etcd.wait_until(self._etcd_answers, START_SECONDS)

    def start_server(self) -> None:
        """Returns when /readyz does; the certificate is made at the first start."""
        self.server.start()
        self.server.wait_until(self._ready, START_SECONDS)

    def restart_server(self, *, kill: bool = False) -> None:
        """Its watch cache begins anew, so that a watch from an older resourceVersion gets 410."""
        (self.server.kill if kill else self.server.stop)()
        self.start_server()

    def restart_etcd(self, *, kill: bool = False) -> None:
        (self.etcd.kill if kill else self.etcd.stop)()
        self.start_etcd()
        self.server.wait_until(self._ready, START_SECONDS)

    def compact(self) -> int:
        """Forget every revision before the present one, which is returned."""
        key = base64.b64encode(b"/registry").decode()
        revision = int(self._etcd("/v3/kv/range", {"key": key, "limit": 1})["header"]["revision"])
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        patch: str = "merge",
        timeout_seconds: float = 30.0,
    ) -> tuple[int, dict[str, Any]]:
        """Status and document. ``path`` holds the query; ``patch``: json or merge. Raises URLError."""
        content = PATCH_TYPES[patch] if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token or self.token}", "Content-Type": content},
        )
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=timeout_seconds, context=context) as reply:
                return reply.status, _document(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, _document(error.read())

    def install_crd(self, definition: Mapping[str, Any]) -> None:
        """Create it, or replace what is there, and wait until its kind is served."""
        self.server.wait_until(lambda: self._taken(definition), START_SECONDS)
        self.server.wait_until(lambda: self._served(definition), START_SECONDS)

    def create_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        body = {"metadata": {"name": name, "labels": dict(labels or {})}}
        status, answer = self.request("POST", "/api/v1/namespaces", body)
        assert status == 201, answer

    def _taken(self, definition: Mapping[str, Any]) -> bool:
        """Not while an older one is being deleted: what is put there would go with it."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        metadata = definition["metadata"]
        status, answer = self.request("POST", path, definition)
        if status != 409:
            assert status == 201, answer
            return True
        found, present = self.request("GET", f"{path}/{metadata['name']}")
        if found != 200 or "deletionTimestamp" in present["metadata"]:
            return False
        version = {"resourceVersion": present["metadata"]["resourceVersion"]}
        body = {**definition, "metadata": {**metadata, **version}}
        status, answer = self.request("PUT", f"{path}/{metadata['name']}", body)
        assert status in (200, 404, 409), answer
        return status == 200

    def _served(self, definition: Mapping[str, Any]) -> bool:
        spec = definition["spec"]
        version = next(each["name"] for each in spec["versions"] if each["served"])
        found, crd = self.request(
            "GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        )
        if not isinstance(crd, dict):
            return False  # it starts again, and answers with text
        conditions = {each["type"]: each for each in crd.get("status", {}).get("conditions") or ()}
        refused = conditions.get("NonStructuralSchema", {})
        assert refused.get("status") != "True", refused
        listed, _ = self.request("GET", f"/apis/{spec['group']}/{version}/{spec['names']['plural']}")
        established = conditions.get("Established", {}).get("status") == "True"
        return found == 200 and established and listed == 200

    def _ready(self) -> bool:
        try:
            return self.ca_file.exists() and self.request("GET", "/readyz", timeout_seconds=3)[0] == 200
        except OSError:
            return False

    def _etcd_answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.etcd_url + "/health", timeout=3) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def _etcd(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        request = urllib.request.Request(self.etcd_url + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return _document(reply.read())

    def _write_settings(self) -> None:
        pki = self.folder / "pki"
        pki.mkdir(parents=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (pki / "service-accounts.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        rows = [f'{ADMIN_TOKEN},admin,admin,"system:masters"']
        rows += [f'{token},{user},{token},"{groups}"' for token, (user, groups) in RESTRICTED_USERS.items()]
        (pki / "tokens.csv").write_text("\n".join(rows) + "\n")
        self.kubeconfig.write_text(self.kubeconfig_for(ADMIN_TOKEN))

    def kubeconfig_for(self, token: str) -> str:
        """Text of a kubeconfig file for one of the tokens."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": "test", "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }
        )

    def _etcd_command(self, program: Path, peer_port: int) -> list[str]:
        return [
            str(program),
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--log-level=warn",
        ]

    def _server_command(self, program: Path) -> list[str]:
        pki = self.folder / "pki"
        return [
            str(program),
            f"--etcd-servers={self.etcd_url}",
            "--etcd-compaction-interval=0",  # only `compact` does it
            f"--cert-dir={pki}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
            "--authorization-mode=RBAC",
            f"--service-account-issuer={self.url}/",
            f"--service-account-key-file={pki / 'service-accounts.key'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            f"--token-auth-file={pki / 'tokens.csv'}",
        ]


def _document(body: bytes) -> dict[str, Any]:
    """The answer's JSON; of plain text (/readyz), nothing."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
