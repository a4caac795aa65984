"""Which storage a URI means."""

from __future__ import annotations

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.storage import Storage


def open_storage(uri: str) -> Storage:
    """The storage for a path, a ``file://`` URI, or any other URI (by fsspec). Raises CheckpointError."""
    if not uri:
        raise CheckpointError("checkpoint.uri is empty; it must be a path or a URI such as s3://bucket/run")
    scheme, found, path = uri.partition("://")
    if not found:
        return _local(uri)
    if scheme == "file":
        return _local(path)
    from rl_platform.checkpoints.remote import RemoteStorage

    return RemoteStorage(uri)


def _local(path: str) -> Storage:
    from rl_platform.checkpoints.local import LocalStorage

    return LocalStorage(path)
