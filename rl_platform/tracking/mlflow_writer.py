"""The process that feeds MLflow: tails ``progress.jsonl``, sends what is new, waits out a server's absence.

``python -m rl_platform.tracking.mlflow_writer RUN_DIR`` is started by `MlflowTracker`. Messages are lines of
JSON, from the driver on stdin and to it on stdout; stdin's end means that the driver is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import select
import sys
import time
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from rl_platform.tracking.learning_curve import plot_learning_curves
from rl_platform.tracking.mlflow_settings import FOLDER, MlflowSettings, load_settings, read_json, write_json
from rl_platform.tracking.progress_log import PROGRESS_FILE
from rl_platform.tracking.spool import Position, last_report, position_in, unsent

INTERVAL_SECONDS = 2.0
LONGEST_BACK_OFF_SECONDS = 30.0
ORPHAN_SECONDS = 30.0
"""How long the writer of a driver that died goes on trying to hand over what is left."""
KILLED = "KILLED"
_EOF: dict[str, Any] = {"finish": KILLED, "seconds": ORPHAN_SECONDS, "orphan": True}


class Channel:
    """Lines of JSON from and to the driver. A driver that is gone is no error."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._buffer = b""

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message, within so many seconds or None; at the end of the stream a request to finish."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            wait = max(0.0, deadline - time.monotonic())
            if not select.select([self._source], [], [], wait)[0]:
                return None
            block = os.read(self._source, 65536)
            if not block:
                return dict(_EOF)
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def send(self, **message: Any) -> None:
        """To the driver."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._sink, json.dumps(message).encode() + b"\n")


@dataclass
class Writer:
    """Sends what is in a run's folder to its MLflow run."""

    run_dir: Path
    settings: MlflowSettings
    channel: Channel
    back_off: float = 0.0
    _run: Any = None
    _state: dict[str, Any] = field(default_factory=dict)
    _position: Position = field(default_factory=Position)
    _warning: str | None = None

    def serve(self) -> int:
        """Until asked to finish. The exit code: 0 if everything was sent."""
        self._state = read_json(self._state_file)
        self._position = position_in(self._progress, self._state.get("position", {}))
        message = self.channel.receive(0.0)
        while message is None or "finish" not in message:
            if message is not None:
                self._answer(message)
            self._try_to_send()
            message = self.channel.receive(max(INTERVAL_SECONDS, self.back_off))
        return self._finish(message)

    @property
    def _progress(self) -> Path:
        return self.run_dir / PROGRESS_FILE

    @property
    def _state_file(self) -> Path:
        return self.run_dir / FOLDER / "state.json"

    def _try_to_send(self) -> bool:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 (whatever MLflow raises, training goes on and this tries again)
            self._run = None
            self.back_off = min(LONGEST_BACK_OFF_SECONDS, max(1.0, self.back_off * 2))
            self._warn(
                f"MLflow at {self.settings.tracking_uri} takes no metrics ({_first_line(error)}); they "
                f"are kept in {self._progress} and sent when it answers"
            )
            return False
        self.back_off = 0.0
        self._warn(None)
        return True

    def _send(self) -> None:
        """Everything that is new, block by block; what MLflow has taken is noted after each."""
        self._open()
        while True:
            reports, position = unsent(self._progress, self._position)
            if position == self._position:
                return
            if reports:
                self._run.log(reports)
            self._position = position
            self._note(position=position.to_json())

    def _open(self) -> None:
        if self._run is not None:
            return
        from rl_platform.tracking.mlflow_run import open_run

        self._run = open_run(self.settings, self._state.get("run_id"))
        if self._run.run_id != self._state.get("run_id"):
            self._position = Position()
            self._note(run_id=self._run.run_id)

    def _note(self, **changes: Any) -> None:
        """A full disk costs the note only: what the run has is asked of MLflow when it is opened."""
        self._state |= changes
        with contextlib.suppress(OSError):
            write_json(self._state_file, self._state)

    def _warn(self, warning: str | None) -> None:
        if warning != self._warning:
            self._warning = warning
            self.channel.send(warning=warning)

    def _answer(self, message: dict[str, Any]) -> None:
        """Run a function for the driver, by name, in this process, where MLflow is."""
        try:
            module, _, name = message["call"].partition(":")
            arguments = {"tracking_uri": self.settings.tracking_uri, **message["arguments"]}
            if message["with_run"]:
                self._open()
                arguments["run_id"] = self._run.run_id
            value = getattr(importlib.import_module(module), name)(**arguments)
            plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            self.channel.send(id=message["id"], value=plain)
        except Exception as error:  # noqa: BLE001 (it is the caller's to judge)
            self.channel.send(id=message["id"], error=f"{_first_line(error)}")

    def _finish(self, message: dict[str, Any]) -> int:
        """Send the rest, the artifacts and the status, within the seconds that the driver gives."""
        status = message["finish"]
        if message.get("orphan"):
            # The driver may have said how it ended and died before this process heard of it.
            status = (load_settings(self.run_dir) or self.settings).status or status
        deadline = time.monotonic() + message["seconds"]
        self.back_off = 0.0
        while not (self._try_to_send() and self._try_to_end(status)):
            left = deadline - time.monotonic()
            if left <= 0:
                self.channel.send(finished=False)
                return 1
            time.sleep(min(left, self.back_off))
        self.channel.send(finished=True)
        return 0

    def _try_to_end(self, status: str) -> bool:
        try:
            last = last_report(self._progress)
            if last is not None:
                self._run.log([last])
            self._run.attach([self.run_dir / "spec.yaml", self.run_dir / "result.json", *self._curve()])
            self._run.end(status)
        except Exception as error:  # noqa: BLE001 (as above)
            self._run = None
            self.back_off = min(LONGEST_BACK_OFF_SECONDS, max(1.0, self.back_off * 2))
            self._warn(
                f"the MLflow run at {self.settings.tracking_uri} could not be ended ({_first_line(error)})"
            )
            return False
        return True

    def _curve(self) -> list[Path]:
        """The run's learning curve, if it can be drawn: no reason to lose the rest."""
        output = self.run_dir / FOLDER / "learning_curve.png"
        try:
            plot_learning_curves({self.settings.run_name: self._progress}, output)
        except (OSError, ValueError, ImportError) as error:
            print(f"no learning curve: {error}", file=sys.stderr)  # noqa: T201 (this is the writer's log)
            return []
        return [output]


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:300]


def _only_one(run_dir: Path) -> Any:
    """Wait for the writer of an earlier attempt, which may be sending; the lock ends with the process."""
    (run_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = open(run_dir / FOLDER / "lock", "w")  # noqa: SIM115 (held until the process ends)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def main(arguments: list[str]) -> int:
    """``RUN_DIR``. Sets itself to the lowest priority first."""
    os.nice(19)
    sink = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what MLflow prints is no message
    run_dir = Path(arguments[0])
    channel = Channel(sys.stdin.fileno(), sink)
    lock = _only_one(run_dir)
    settings = load_settings(run_dir)
    if settings is None:
        channel.send(warning=f"{run_dir / FOLDER} has no readable settings.json: nothing is sent to MLflow")
        return 2
    with lock:
        return Writer(run_dir, settings, channel).serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
