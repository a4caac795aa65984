"""Checkpoints in an object store or any other file system that fsspec knows.

Nothing can be renamed in one step there, so a folder counts only once its last file, the manifest, is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.storage import Chunks

_EXTRAS = {
    "s3": "pyarrow",
    "s3a": "pyarrow",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}


class RemoteStorage:
    """A prefix of an fsspec file system."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._files, self._root = _open(self.uri)

    def names(self, path: str) -> list[str]:
        return [entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in self._entries(path)]

    def sizes(self, path: str) -> dict[str, int]:
        return {
            entry["name"].rsplit("/", 1)[-1]: int(entry["size"] or 0)
            for entry in self._entries(path)
            if entry["type"] == "file"
        }

    def read(self, path: str) -> np.ndarray:
        return np.frombuffer(bytearray(self._files.cat_file(self._at(path))), np.uint8)

    def put(self, path: str, data: bytes) -> None:
        self._write(self._at(path), [data])

    @contextmanager
    def folder(self, path: str) -> Iterator[_RemoteFolder]:
        if self.names(path):
            raise FileExistsError(17, "File exists", f"{self.uri}/{path}")
        folder = _RemoteFolder(self, path)
        try:
            yield folder
        finally:
            if not folder.committed:
                with suppress(Exception):
                    self.remove_folder(path)

    def remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def remove_folder(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm(self._at(path), recursive=True)

    def partial(self, path: str) -> list[str]:
        del path  # what is half-written lies at its final place, without a manifest
        return []

    def _write(self, path: str, chunks: Chunks) -> None:
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        with self._files.open(path, "wb") as file:
            for chunk in chunks:
                file.write(chunk)

    def _entries(self, path: str) -> list[dict[str, Any]]:
        place = self._at(path)
        self._files.invalidate_cache()  # other drivers write here too
        try:
            return [
                entry for entry in self._files.ls(place, detail=True) if entry["name"].rstrip("/") != place
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


class _RemoteFolder:
    def __init__(self, storage: RemoteStorage, path: str) -> None:
        self._storage = storage
        self._path = path
        self.committed = False

    def write(self, name: str, chunks: Chunks) -> None:
        self._storage._write(self._storage._at(f"{self._path}/{name}"), chunks)

    def commit(self) -> None:
        self.committed = True


def _open(uri: str) -> tuple[Any, str]:
    import fsspec

    scheme = uri.split("://", 1)[0].rsplit("::", 1)[-1]
    try:
        try:
            files, root = fsspec.core.url_to_fs(uri)
        except ImportError:
            if scheme not in ("s3", "s3a"):
                raise
            from rl_platform.checkpoints.arrow_s3 import open_s3

            files, root = open_s3(), uri.split("://", 1)[1]
    except ImportError as error:
        package = _EXTRAS.get(scheme)
        advice = f"pip install {package}" if package else str(error)
        raise CheckpointError(
            f"checkpoint URI {uri}: the scheme {scheme!r} needs one more package: {advice}"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"checkpoint URI {uri}: no file system is known for the scheme {scheme!r} ({error}); use a path, "
            "file://, s3://, gs://, abfs://, or install an fsspec file system for it"
        ) from error
    return files, root.rstrip("/")
