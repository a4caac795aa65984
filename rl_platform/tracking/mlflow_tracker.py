"""MLflow seen from the training process: a child process does the talking, and nothing here waits for it.

The spool is ``progress.jsonl`` itself, so neither a crash, a resume nor an absent server loses anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import rl_platform
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import FOLDER, load_settings, load_state, settings_of

Status = Literal["FINISHED", "FAILED", "KILLED"]
_MODULE = "rl_platform.tracking.mlflow_writer"
_LOG = "writer.log"
FLUSH_SECONDS = 600.0
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.2
_LONGEST_BACK_OFF_SECONDS = 60.0
_QUICK_DEATHS = 3
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the writer has a back-off of its own
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "GIT_PYTHON_REFRESH": "quiet",
}


class TrackingError(Exception):
    """What was asked of MLflow could not be done. The message says why."""


class MlflowTracker:
    """The MLflow run of one attempt.

    `start` returns at once; from then on the child follows the progress file by itself. `warning` says what a
    person should know. Only `finish` waits, within bounds, at the end of a run.
    """

    def __init__(
        self, job: TrainingJob, run_dir: Path, attempt: int, versions: Mapping[str, str | None]
    ) -> None:
        self._run_dir = run_dir.resolve()
        self._settings = settings_of(job, self._run_dir, attempt, versions)
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._finish: dict[str, Any] | None = None
        self._finished: bool | None = None
        self._problem: str | None = None
        self._run_id: str | None = None

    @property
    def job_uid(self) -> str:
        """The job's uid in the cluster, or one that its folder keeps."""
        return self._settings.job_uid

    @property
    def tracking_uri(self) -> str:
        """The server: as the job says, as MLFLOW_TRACKING_URI says, or sqlite in the run's folder."""
        return self._settings.tracking_uri

    @property
    def shown_uri(self) -> str:
        """`tracking_uri` for messages, without a password in it."""
        return self._settings.shown_uri

    def run_id(self) -> str | None:
        """MLflow's id of the run, once the child has made it; read from its file until then."""
        if self._run_id is None:
            run_id = load_state(self._run_dir, self._settings).get("run_id")
            self._run_id = str(run_id) if run_id else None
        return self._run_id

    def start(self) -> None:
        """Start the child, in a thread, because even that takes milliseconds. To be called once."""
        self._thread = threading.Thread(target=self._supervise, name="mlflow-tracker", daemon=True)
        self._thread.start()

    def warning(self) -> str | None:
        """Why MLflow is behind at present, or None."""
        return self._problem

    def finish(
        self, status: Status, timeout_seconds: float, stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Send the rest and the artifacts, end the run, stop the child. Whether all of that was done in time.

        Otherwise `warning` says how it can be done later. A server that takes nothing is given up long before
        ``timeout_seconds``, and any as soon as ``stop`` says so. True where nothing was ever started.
        """
        if self._thread is None:
            return True
        with self._changed:
            try:
                self._settings.ended(status).save(self._run_dir)
            except OSError as error:
                self._problem = f"the end of the run could not be noted for MLflow: {error}"
            self._finish = {"finish": status, "seconds": timeout_seconds}
            self._send(self._finish)
            self._changed.notify_all()
            until = time.monotonic() + timeout_seconds + _GRACE_SECONDS
            while self._finished is None and time.monotonic() < until and not stop():
                self._changed.wait(_POLL_SECONDS)
            done = bool(self._finished)
            if not done:
                self._give_up()
        self._thread.join(_GRACE_SECONDS)
        return done

    def _give_up(self) -> None:
        """With the lock held."""
        self._finished = False
        shown = self._settings.shown_uri
        why = self._problem or f"MLflow at {shown} did not take the whole run in time"
        self._problem = f"{why}; send the rest later with rlp flush {self._run_dir}"
        if self._process is not None:
            self._process.terminate()

    def _supervise(self) -> None:
        """Run the child, and another one with back-off where it dies, until the run is finished."""
        deaths = 0
        while True:
            began = time.monotonic()
            problem = self._run_child()
            with self._changed:
                self._process = None
                if self._finished is not None:
                    return
                deaths = deaths + 1 if time.monotonic() - began < _LONGEST_BACK_OFF_SECONDS else 1
                if deaths >= _QUICK_DEATHS:
                    log = self._run_dir / FOLDER / _LOG
                    self._problem = f"the process that feeds MLflow keeps dying ({problem}): see {log}"
                    if self._finish is not None:
                        self._finished = False
                        self._changed.notify_all()
                        return
                back_off = min(_LONGEST_BACK_OFF_SECONDS, 2.0 ** (deaths - 1))
                self._changed.wait_for(lambda: self._finish is not None, back_off)

    def _run_child(self) -> str:
        """One life of the child: start it, hear what it says, and return how it ended."""
        try:
            with self._changed:  # not over what `finish` saves
                if self._finish is None:
                    self._settings.save(self._run_dir)
            process = start_writer(self._run_dir)
        except OSError as error:
            return str(error)
        with self._changed:
            self._process = process
            if self._finish is not None:
                self._send(self._finish)
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            self._hear(json.loads(line))
        with contextlib.suppress(OSError):  # it may have died before it read what is still in the pipe
            process.stdin.close()
        process.stdout.close()
        return f"exit code {process.wait()}"

    def _hear(self, message: Mapping[str, Any]) -> None:
        with self._changed:
            if "finished" in message:
                self._finished = message["finished"]
                self._changed.notify_all()
            else:
                self._problem = message["warning"]

    def _send(self, message: Mapping[str, Any]) -> None:
        """With the lock held. A child that is dead or not there yet will be told by `_run_child`."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            self._process.kill()


def start_writer(run_dir: Path) -> subprocess.Popen[bytes]:
    """The child process of a run's folder, in a session of its own: Ctrl-C in the terminal is not for it."""
    package_root = str(Path(rl_platform.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    (run_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    with open(run_dir / FOLDER / _LOG, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(run_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**_ENVIRONMENT, **os.environ, **threads, "PYTHONPATH": path},
            start_new_session=True,
        )


def flush(run_dir: Path | str, timeout_seconds: float = FLUSH_SECONDS) -> None:
    """Send what MLflow does not have yet of a run that is over, and end its MLflow run.

    Raises TrackingError: there is no such run, its server does not answer, or its writer is still at work.
    """
    run_dir = Path(run_dir).resolve()
    settings = load_settings(run_dir)
    if settings is None:
        raise TrackingError(f"{run_dir} holds no run that was tracked: {FOLDER}/settings.json is not there")
    process = start_writer(run_dir)
    request = {"finish": settings.status or "KILLED", "seconds": timeout_seconds}
    try:
        said, _ = process.communicate(json.dumps(request).encode() + b"\n", timeout_seconds + _GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        said += b'{"warning":"its writer is still at work, or the server is slow"}\n'
    messages = [json.loads(line) for line in said.splitlines()]
    if {"finished": True} not in messages:
        warnings = [message["warning"] for message in messages if message.get("warning")]
        problem = warnings[-1] if warnings else f"see {run_dir / FOLDER / _LOG}"
        raise TrackingError(f"{run_dir} could not be sent: {problem}")
