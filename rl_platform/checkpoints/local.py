"""Checkpoints on a local disk: written beside their place, flushed, renamed into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from rl_platform.checkpoints.storage import Chunks

_PARTIAL = ".partial"


class LocalStorage:
    """A folder of this machine, or of what is mounted here."""

    def __init__(self, path: str) -> None:
        self.uri = os.path.abspath(os.path.expanduser(path))

    def names(self, path: str) -> list[str]:
        try:
            return os.listdir(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sizes(self, path: str) -> dict[str, int]:
        try:
            with os.scandir(self._at(path)) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def read(self, path: str) -> np.ndarray:
        try:
            with open(self._at(path), "rb", buffering=0) as file:
                return _read_whole(file.fileno())
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args) from error

    def put(self, path: str, data: bytes) -> None:
        place = self._at(path)
        _make_folders(os.path.dirname(place))
        fresh = f"{place}{_PARTIAL}"
        try:
            _flush(_write_file(fresh, [data]))
            os.replace(fresh, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(fresh)
            raise
        _flush_folder(os.path.dirname(place))

    @contextmanager
    def folder(self, path: str) -> Iterator[_LocalFolder]:
        place = self._at(path)
        parent, name = os.path.split(place)
        _make_folders(parent)
        fresh = os.path.join(parent, f".{name}{_PARTIAL}")
        shutil.rmtree(fresh, ignore_errors=True)
        os.mkdir(fresh)
        folder = _LocalFolder(fresh, place)
        try:
            yield folder
        finally:
            folder.discard()

    def remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._at(path))

    def remove_folder(self, path: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._at(path))

    def partial(self, path: str) -> list[str]:
        return [
            f"{path}/{name}" for name in self.names(path) if name.startswith(".") and name.endswith(_PARTIAL)
        ]

    def _at(self, path: str) -> str:
        return os.path.join(self.uri, path) if path else self.uri


class _LocalFolder:
    def __init__(self, fresh: str, place: str) -> None:
        self._fresh = fresh
        self._place = place
        self._open: list[int] = []

    def write(self, name: str, chunks: Chunks) -> None:
        self._open.append(_write_file(os.path.join(self._fresh, name), chunks))

    def commit(self) -> None:
        # Flushed together at the end: the first flush takes most of the others' data along.
        while self._open:
            _flush(self._open.pop())
        _flush_folder(self._fresh)
        os.rename(self._fresh, self._place)
        _flush_folder(os.path.dirname(self._place))

    def discard(self) -> None:
        """Close what is open and remove what was not committed."""
        while self._open:
            os.close(self._open.pop())
        shutil.rmtree(self._fresh, ignore_errors=True)


def _write_file(path: str, chunks: Chunks) -> int:
    """Returns the open descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            error.filename = path
        raise
    return descriptor


def _read_whole(descriptor: int) -> np.ndarray:
    data = np.empty(os.fstat(descriptor).st_size, np.uint8)
    rest = data.data
    while rest:
        count = os.readv(descriptor, [rest])
        if not count:
            return data[: len(data) - len(rest)]
        rest = rest[count:]
    return data


def _flush(descriptor: int) -> None:
    """To the disk, and close. A failed write may be reported only here."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folders(path: str) -> None:
    """With every new folder's entry in its parent made durable."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent != path:
        _make_folders(parent)
    with suppress(FileExistsError):
        os.mkdir(path)
    if not os.path.isdir(path):
        raise NotADirectoryError(20, "Not a directory", path)
    _flush_folder(parent)
