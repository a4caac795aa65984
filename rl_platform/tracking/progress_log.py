"""``progress.jsonl``: a line per report, the run's own record and the spool that MLflow is fed from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rl_platform.tracking.report import Report

log = logging.getLogger(__name__)

PROGRESS_FILE = "progress.jsonl"


class ProgressLogError(Exception):
    """The progress file cannot be written. The message says which file, why, and what to do."""


class ProgressLog:
    """Appends reports to a file, each with one system call, so that a reader sees whole lines or none.

    A last line that a crash has torn is removed on opening. Raises ProgressLogError where the file cannot be
    opened for writing.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: one system call per line, so a reader never finds half of one.
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115
            self._size = self._whole_lines()
        except OSError as error:
            raise _explained(self.path, error) from error

    def append(self, report: Report) -> None:
        """Raises ProgressLogError (disk full, …); then nothing of the line stays."""
        line = report.to_line().encode() + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):
                # A nearly full disk takes a part and says so only with the next write.
                self._file.write(line[written or 0 :])
        except OSError as error:
            self._cut(self._size)
            raise _explained(self.path, error) from error
        self._size += len(line)

    def truncate_after(self, env_steps: int) -> int:
        """Forget the reports beyond ``env_steps``, for a run that goes on from an earlier checkpoint.

        Returns how many lines were removed.
        """
        removed, keep = 0, None
        for start, line in _lines(self.path):
            if keep is None and _env_steps(line) > env_steps:
                keep = start
            removed += keep is not None
        if keep is not None:
            self._cut(keep)
            self._size = keep
        return removed

    def close(self) -> None:
        """Idempotent."""
        self._file.close()

    def __enter__(self) -> ProgressLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut(self, size: int) -> None:
        os.ftruncate(self._file.fileno(), size)

    def _whole_lines(self) -> int:
        """Bytes up to the last newline; what follows it is cut off."""
        size = os.fstat(self._file.fileno()).st_size
        end = size
        while end:
            start = max(0, end - 65536)
            newline = os.pread(self._file.fileno(), end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            log.warning("%s ended in a torn line of %d bytes, which was removed", self.path, size - end)
            self._cut(end)
        return end


def read_reports(path: Path | str) -> Iterator[Report]:
    """The reports of a file that may be growing; a last line that is torn or damaged is left out.

    Raises ValueError that names the file and the line where one before it is no report.
    """
    damage: ValueError | None = None
    for number, (_, line) in enumerate(_lines(Path(path)), 1):
        if damage is not None:
            raise damage
        try:
            report = Report.from_line(line)
        except ValueError as error:
            damage = ValueError(f"{path}, line {number}: {error}")
        else:
            yield report


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(where it starts, line) of every whole line."""
    start = 0
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield start, line
            start += len(line)


def _env_steps(line: bytes) -> int:
    """A damaged line is in no one's way: it counts as the start of the run."""
    try:
        return Report.from_line(line).env_steps
    except ValueError:
        return -1


def _explained(path: Path, error: OSError) -> ProgressLogError:
    return ProgressLogError(
        f"cannot write {path}: {error.strerror or error}; free some space or make the folder writable, "
        "or choose another with --output"
    )
