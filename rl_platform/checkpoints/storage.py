"""Where checkpoints are kept: one interface over a local disk and over any fsspec file system.

Paths are relative to the storage's URI, with slashes. What is being written can be read only after `commit`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from rl_platform.checkpoints.errors import CheckpointError

Chunks = Iterable[bytes | memoryview]


class Folder(Protocol):
    """A folder in the making."""

    def write(self, name: str, chunks: Chunks) -> None:
        """A whole file. Where nothing can be renamed, the last one must be what makes the folder valid."""

    def commit(self) -> None:
        """Make it durable and visible; raises if there is such a folder already."""


class Storage(Protocol):
    """Raises OSError, or whatever the file system's own library raises."""

    uri: str  # without a slash at the end

    def names(self, path: str) -> list[str]:
        """What a folder holds; empty where there is no such folder."""

    def sizes(self, path: str) -> dict[str, int]:
        """Bytes of the files of a folder; empty where there is no such folder."""

    def read(self, path: str) -> np.ndarray:
        """A file as u8 [bytes], writable. Raises FileNotFoundError."""

    def put(self, path: str, data: bytes) -> None:
        """Write or replace a small file in one step, with the folders above it."""

    def folder(self, path: str) -> AbstractContextManager[Folder]:
        """A new folder; what was not committed at the end of the context is removed."""

    def remove_file(self, path: str) -> None:
        """Nothing happens where there is none."""

    def remove_folder(self, path: str) -> None:
        """With all it holds; nothing happens where there is none."""

    def partial(self, path: str) -> list[str]:
        """Paths of folders directly under ``path`` that somebody began to write and did not commit."""


def read_json(storage: Storage, path: str) -> object:
    """A small JSON file, or None where there is none. Raises CheckpointError where it is not JSON."""
    try:
        text = storage.read(path).tobytes()
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{storage.uri}/{path} is not JSON ({error}); remove it") from error
