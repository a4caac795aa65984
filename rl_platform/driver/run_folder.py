"""A run's folder: what lies where, and when a run may take a folder that is already there."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Taking = Literal["new", "overwrite", "resume"]
PICTURE = "learning-curves.png"  # where `rlp plot` draws the run
OVERWRITTEN = frozenset(
    {"spec.yaml", "progress.jsonl", "checkpoints", "result.json", "policy", "tracking", "logs", PICTURE}
)
"""What ``--overwrite`` removes. MLflow's store stays: a new champion is compared with the old one."""

LOCK, RESULT = "run.lock", "result.json"


class RunFolderError(Exception):
    """The folder cannot be used; the message names it and says what to do."""


def chosen_folder(output: str | Path | None, name: str) -> RunFolder:
    """``output``, or ``runs/<name>`` where that is None. Raises RunFolderError where it is empty text."""
    if output is not None and not str(output).strip():
        raise RunFolderError(
            f"--output is {str(output)!r}, which names no folder: give one, or leave it out for runs/{name}"
        )
    return RunFolder(Path("runs") / name if output is None else Path(output))


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run, and who may write to them."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def progress(self) -> Path:
        return self.path / "progress.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def result(self) -> Path:
        return self.path / RESULT

    @property
    def bundle(self) -> Path:
        return self.path / "policy"

    @property
    def worker_logs(self) -> Path:
        return self.path / "logs"

    @contextmanager
    def held(self, taking: Taking) -> Iterator[bool]:
        """Make the folder and keep other runs out of it; a run in it stays untouched. Whether there is one.

        Raises RunFolderError where ``taking`` does not fit what is there, where another process is running in
        it, and where it cannot be written.
        """
        with self._explained():
            self._refuse_links_to_nothing()
            entries = {entry.name for entry in self.path.iterdir()} if self.path.exists() else set()
            used = bool(entries - {LOCK}) and not self._never_began(entries)
            # One that resumes may find what a fresh volume holds, such as lost+found.
            if used and taking != "resume" and not entries & OVERWRITTEN:
                raise RunFolderError(
                    f"{self.path} is not empty and holds no run (there is {_some(entries - {LOCK})}), so "
                    "nothing is written or replaced there: choose another folder with --output"
                )
            if used and taking == "new":
                raise RunFolderError(
                    f"{self.path} already holds a run: continue it with --resume, replace it with "
                    "--overwrite, or choose another folder with --output"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / LOCK, "w")  # noqa: SIM115 - closed below, at the end of the run
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise RunFolderError(
                f"another process is running in {self.path}: wait for it, stop it, or choose another --output"
            ) from error
        try:
            yield used
        finally:
            (self.path / LOCK).unlink(missing_ok=True)
            lock.close()

    def _refuse_links_to_nothing(self) -> None:
        for place in (self.path, *self.path.parents):
            if place.is_symlink() and not place.exists():
                raise RunFolderError(
                    f"{place} is a link to {place.readlink()}, where there is nothing: make that folder, "
                    "remove the link, or choose another folder with --output"
                )

    def _never_began(self, entries: set[str]) -> bool:
        """Whether all there is says that a run failed before its first env step."""
        if entries - {LOCK} != {RESULT}:
            return False
        try:
            result = json.loads(self.result.read_text())
            return bool(result["state"] == "Failed" and result["envSteps"] == 0)
        except (ValueError, KeyError, TypeError):
            return False

    def clear(self) -> None:
        """Remove what a run writes and nothing else: the folder may hold a person's own files."""
        with self._explained():
            for entry in [entry for entry in self.path.iterdir() if entry.name in OVERWRITTEN]:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    def write(self, path: Path, text: str) -> None:
        """Write a file of the run as a whole or not at all. Raises RunFolderError."""
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_text(text)
            partial.replace(path)
        except OSError as error:
            raise RunFolderError(
                f"cannot write {path}: {error.strerror or error}; free some space or choose another --output"
            ) from error

    def write_json(self, path: Path, document: dict[str, Any]) -> None:
        """`write` of an indented JSON document."""
        self.write(path, json.dumps(document, indent=2) + "\n")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFolderError(
                f"cannot use the run's folder {self.path}: {error.strerror or error}; "
                "give a folder that this user can write to with --output"
            ) from error


def _some(names: Iterable[str]) -> str:
    first, *others = sorted(names)
    return f"{first} and {len(others)} more" if others else first
