"""``rlp`` against a real API server, where a test writes what the operator would."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_platform.cli.main import main
from tests.apiserver.control_plane import ControlPlane
from tests.cli.commands import CARTPOLE

GROUP = "/apis/rlplatform.io/v1alpha1"
CHECKPOINT = "s3://bucket/cartpole/2/000070144"


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


def run(*arguments: str | Path) -> Ran:
    """A command in this process, without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(each) for each in arguments])
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True, slots=True)
class ClusterJobs:
    """One namespace of the API server."""

    server: ControlPlane
    namespace: str
    folder: Path

    def rlp(self, *arguments: str | Path, user: str = "") -> Ran:
        """A command in the namespace, as the administrator or one of the users without rights."""
        command, *rest = arguments
        return run(command, "-n", self.namespace, "--kubeconfig", self.kubeconfig(user), *rest)

    def kubeconfig(self, user: str = "") -> Path:
        if not user:
            return self.server.kubeconfig
        path = self.folder / f"{user}.kubeconfig"
        path.write_text(self.server.kubeconfig_for(user))
        return path

    def submit(self, name: str = "cartpole", *settings: str) -> None:
        overrides = [f"--set={each}" for each in (f"metadata.name={name}", *settings)]
        ran = self.rlp("submit", CARTPOLE, *overrides)
        assert ran.code == 0, ran.err

    def path(self, name: str = "cartpole") -> str:
        return f"{GROUP}/namespaces/{self.namespace}/trainingjobs/{name}"

    def job(self, name: str = "cartpole") -> dict[str, Any]:
        return self.request("GET", self.path(name))

    def report(self, status: Mapping[str, Any], name: str = "cartpole") -> None:
        """Write status as the operator does."""
        self.request("PATCH", f"{self.path(name)}/status", {"status": status})

    def create(self, plural: str, body: Mapping[str, Any], group: str = "/api/v1") -> dict[str, Any]:
        return self.request("POST", f"{group}/namespaces/{self.namespace}/{plural}", body)

    def request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        code, document = self.server.request(method, path, body)
        assert code < 300, document
        return document

    def event(self, reason: str, message: str, name: str = "cartpole") -> None:
        """An event about the job, through the API that the operator uses."""
        job = self.job(name)
        about = {
            "apiVersion": "rlplatform.io/v1alpha1",
            "kind": "TrainingJob",
            "name": name,
            "namespace": self.namespace,
            "uid": job["metadata"]["uid"],
        }
        body = {
            "metadata": {"generateName": f"{name}-"},
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 1)),
            "reportingController": "rlplatform.io/operator",
            "reportingInstance": "rl-operator-0",
            "action": "Reconcile",
            "type": "Normal",
            "reason": reason,
            "note": message,
            "regarding": about,
        }
        self.create("events", body, "/apis/events.k8s.io/v1")

    def allow(self, user: str, *rules: tuple[str, str, tuple[str, ...]]) -> None:
        """Rights in the namespace: API group, resource, verbs."""
        group = "/apis/rbac.authorization.k8s.io/v1"
        listed = [
            {"apiGroups": [api], "resources": [what], "verbs": list(verbs)} for api, what, verbs in rules
        ]
        self.create("roles", {"metadata": {"name": user}, "rules": listed}, group)
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        self.create(
            "rolebindings", {"metadata": {"name": user}, "roleRef": role, "subjects": [subject]}, group
        )


def training(env_steps: int = 70_144, attempt: int = 2, generation: int = 1) -> dict[str, Any]:
    """Status of a job that trains with its second driver."""
    return {
        "observedGeneration": generation,
        "phase": "Training",
        "attempt": attempt,
        "failures": {"application": 1, "infrastructure": 0},
        "conditions": [
            condition("Succeeded", "Unknown", "Training"),
            condition("ClusterReady", "True", "HeadReady"),
            condition("Suspended", "False", "NotAsked"),
        ],
        "progress": {
            "envSteps": env_steps,
            "updates": 4384,
            "episodeReturnMean": 210.25,
            "envStepsPerSecond": 12345.6,
            "etaSeconds": 75,
        },
        "checkpoint": {"uri": CHECKPOINT, "envSteps": env_steps, "digest": "sha256:aa"},
        "rayCluster": "cartpole-1a2b3c4d",
        "startTime": "2026-01-31T12:00:00Z",
        "mlflow": {"uri": "http://mlflow", "experiment": "cartpole", "runId": "abc"},
    }


def ended(status: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """Status of a job that succeeded (True) or failed (False)."""
    return {
        **training(),
        "phase": {"True": "Succeeded", "False": "Failed"}[status],
        "conditions": [condition("Succeeded", status, reason, message)],
        **more,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-31T12:00:00Z",
    }


@contextlib.contextmanager
def meanwhile(*steps: Callable[[], object], pause_seconds: float = 1.0) -> Any:
    """Take the steps one after another, a pause before each, while the block runs."""
    errors: list[BaseException] = []

    def take() -> None:
        try:
            for step in steps:
                time.sleep(pause_seconds)
                step()
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert not errors, errors


def manifest(folder: Path, text: str, name: str = "job.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def with_environment(**variables: str) -> dict[str, str]:
    return os.environ | variables


def parsed(text: str) -> dict[str, Any]:
    document = json.loads(text)
    assert isinstance(document, dict)
    return document
