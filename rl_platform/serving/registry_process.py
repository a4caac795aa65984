"""The registry in a process of its own, so that whoever trains never imports MLflow.

One JSON line per call on standard input, ``{"call": name, "with": {...}}``, and one per answer on standard
output, ``{"value": ...}`` or ``{"error": sentence}``.

Run as ``python -m rl_platform.serving.registry_process``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rl_platform.serving.registry import Champion, ModelVersion, RegistryError, current_champion, register

CALLS: dict[str, Callable[..., Champion | ModelVersion | None]] = {
    "current_champion": current_champion,
    "register": register,
}

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default MLflow tries an absent server for four minutes, while the user waits for the end of the run.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


POLL_SECONDS = 0.2


class RegistryStopped(Exception):
    """The caller was asked to stop. What was called may have been done: registering again is no harm."""


class RegistryProcess:
    """Started at once, so that MLflow is imported while the caller does something else. Close it.

    ``stop`` says whether to wait no longer: then a call raises RegistryStopped, and the process is killed.
    """

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self._stop = stop
        self._asked = False
        # Nobody reads errors while it runs: in a file they cannot fill a pipe and stop it.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl_platform.serving.registry_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**_ENVIRONMENT, **os.environ},
            start_new_session=True,
        )

    def current_champion(self, tracking_uri: str, name: str, folder: str, alias: str) -> Champion | None:
        """See `registry.current_champion`."""
        value = self._ask(
            "current_champion", tracking_uri=tracking_uri, name=name, folder=folder, alias=alias
        )
        return Champion(**value) if value is not None else None

    def register(self, tracking_uri: str, name: str, bundle: str, **rest: Any) -> ModelVersion:
        """See `registry.register`."""
        return ModelVersion(
            **self._ask("register", tracking_uri=tracking_uri, name=name, bundle=bundle, **rest)
        )

    def close(self) -> None:
        """Let it end; kill it where it does not, where nobody waits for it, and where it was not needed."""
        if self._stop() or not self._asked:
            self._process.kill()
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _ask(self, call: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked = True
        try:
            self._process.stdin.write(json.dumps({"call": call, "with": arguments}) + "\n")
            self._process.stdin.flush()
            while not select.select([self._process.stdout], [], [], POLL_SECONDS)[0]:
                if self._stop():
                    raise RegistryStopped
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise RegistryError(
                f"the process that talks to the registry ended while asked to {call}: {last[0]}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise RegistryError(answer["error"])
        return answer["value"]


def main() -> None:
    """Answer calls until standard input ends. Libraries that print must not disturb the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    import mlflow  # noqa: F401 - imported now, while nobody waits

    for line in sys.stdin:
        request = json.loads(line)
        try:
            value = CALLS[request["call"]](**request["with"])
            answer: dict[str, Any] = {"value": asdict(value) if value is not None else None}
        except Exception as error:  # noqa: BLE001 - told to the caller, whatever it is
            # A database's error goes on with the statement that it was asked for.
            answer = {"error": next(iter(str(error).splitlines()), "") or type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
