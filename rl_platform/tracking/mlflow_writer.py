"""The process that feeds MLflow: tails ``progress.jsonl``, sends what is new, waits out a server's absence.

``python -m rl_platform.tracking.mlflow_writer RUN_DIR`` is started by `MlflowTracker`. What the run has is
noted in ``tracking/state.json``, so another writer goes on where this one ended, however it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rl_platform.tracking.curves import plot_runs
from rl_platform.tracking.mlflow_channel import Channel
from rl_platform.tracking.mlflow_settings import (
    FOLDER,
    STATE,
    MlflowSettings,
    load_settings,
    load_state,
    read_json,
    write_json,
)
from rl_platform.tracking.progress_log import PROGRESS_FILE
from rl_platform.tracking.spool import Position, last_report, position_in, unsent

if TYPE_CHECKING:
    from rl_platform.tracking.mlflow_run import MlflowRun

NICENESS = 10
INTERVAL_SECONDS = 2.0
LONGEST_BACK_OFF_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
"""At the end of a run: how long to go on trying a server that takes nothing."""
ORPHAN_SECONDS = 30.0
"""How long the writer of a driver that died goes on handing over what is left."""


class Writer:
    """Sends what is in a run's folder to its MLflow run."""

    def __init__(self, run_dir: Path, settings: MlflowSettings, channel: Channel) -> None:
        self.run_dir, self.settings, self.channel = run_dir, settings, channel
        self._progress = run_dir / PROGRESS_FILE
        self._state = load_state(run_dir, settings)
        self._position = position_in(self._progress, self._state.get("position", {}))
        self._run: MlflowRun | None = None
        self._back_off = 0.0
        self._taken = 0  # how many times MLflow took something
        self._warning: str | None = None

    def serve(self) -> int:
        """Until asked to finish, or left alone. The exit code: 0 if everything was sent."""
        drawn = False
        message = self.channel.receive(0.0)
        while message is None and not self.channel.alone:
            if self._try(self._send) and not drawn:
                drawn = True
                self._curve()  # now, because the first picture takes seconds, and the last one is waited for
            message = self.channel.receive(max(INTERVAL_SECONDS, self._back_off))
        if message is None:
            return self._finish(self._status_left_behind(), ORPHAN_SECONDS)
        return self._finish(message["finish"], message["seconds"])

    def _finish(self, status: str, seconds: float) -> int:
        """Send the rest, the artifacts and the status, within so many seconds while MLflow takes any."""
        deadline = time.monotonic() + seconds
        patience = min(deadline, time.monotonic() + PATIENCE_SECONDS)
        self._back_off = 0.0
        while not self._try(lambda: self._end(status)):
            taken, self._taken = self._taken, 0
            if taken:
                patience = min(deadline, time.monotonic() + PATIENCE_SECONDS)
            if time.monotonic() + self._back_off >= patience:
                self.channel.send(finished=False)
                return 1
            time.sleep(self._back_off)
        self.channel.send(finished=True)
        return 0

    def _try(self, step: Any) -> bool:
        """Whether it was done. Whatever MLflow raises, training goes on, and this is tried again."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 (as said)
            self._run = None
            self._back_off = min(LONGEST_BACK_OFF_SECONDS, max(1.0, self._back_off * 2))
            self._warn(
                f"MLflow at {self.settings.shown_uri} does not take the run ({_reason(error)}); "
                f"it is kept in {self._progress} until it does"
            )
            return False
        self._back_off = 0.0
        self._warn(None)
        return True

    def _send(self) -> None:
        """Everything that is new, block by block; what MLflow has taken is noted after each."""
        run = self._opened()
        while True:
            reports, position = unsent(self._progress, self._position)
            if position == self._position:
                return
            if reports:
                run.log(reports)
                self._taken += 1
            self._position = position
            self._note(position=position.to_json())

    def _end(self, status: str) -> None:
        self._send()
        run = self._opened()
        last = last_report(self._progress)
        if last is not None:
            run.log([last])
        run.attach([self.run_dir / "spec.yaml", self.run_dir / "result.json", *self._curve()])
        run.end(status)

    def _opened(self) -> MlflowRun:
        if self._run is None:
            from rl_platform.tracking.mlflow_run import open_run

            self._run = open_run(self.settings, self._state.get("run_id"))
            self._taken += 1
            if self._run.run_id != self._state.get("run_id"):
                self._position = Position()
                self._note(run_id=self._run.run_id, server=self.settings.shown_uri)
        return self._run

    def _note(self, **changes: Any) -> None:
        """A full disk costs the note only: what the run has is asked of MLflow when it is opened."""
        self._state |= changes
        with contextlib.suppress(OSError):
            write_json(self.run_dir / FOLDER / STATE, self._state)

    def _warn(self, warning: str | None) -> None:
        if warning != self._warning:
            self._warning = warning
            self.channel.send(warning=warning)

    def _status_left_behind(self) -> str:
        """How the run of a driver that is gone ended: as it said, else as its result says, else killed."""
        said = load_settings(self.run_dir)
        if said is not None and said.status:
            return said.status
        failed = read_json(self.run_dir / "result.json").get("state") == "Failed"
        return "FAILED" if failed else "KILLED"

    def _curve(self) -> list[Path]:
        """The run's learning curve, if it can be drawn: no reason to lose the rest."""
        output = self.run_dir / FOLDER / "learning-curve.png"
        try:
            plot_runs([self.run_dir], output)
        except (OSError, ValueError, ImportError) as error:
            print(f"no learning curve: {error}", file=sys.stderr)  # noqa: T201 (this is the writer's log)
            return []
        return [output]


def _reason(error: BaseException) -> str:
    """The first line of what is at the bottom of it: that a connection was refused, not what it was for."""
    seen = {id(error)}
    while (below := error.__cause__ or error.__context__) is not None and id(below) not in seen:
        error = below
        seen.add(id(error))
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:300]


def _only_one(run_dir: Path) -> IO[str]:
    """Wait for the writer of an earlier attempt, which may be sending; the lock ends with the process."""
    (run_dir / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = open(run_dir / FOLDER / "lock", "w")  # noqa: SIM115 (held until the process ends)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _give_way() -> None:
    """Take what training leaves of the processor. Where Linux shares it out by sessions first, niceness alone
    counts only among the processes of one, and this one has its own.
    """
    os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def main(arguments: list[str]) -> int:
    """``RUN_DIR``. Sets itself to a low priority first."""
    _give_way()
    sink = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what MLflow prints is no message
    run_dir = Path(arguments[0])
    channel = Channel(sys.stdin.fileno(), sink)
    with _only_one(run_dir):
        settings = load_settings(run_dir)
        if settings is None:
            channel.send(warning=f"{run_dir / FOLDER} has no readable settings: nothing is sent to MLflow")
            return 2
        return Writer(run_dir, settings, channel).serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
