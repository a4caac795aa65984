"""What can go wrong with a checkpoint, in sentences: which URI, what happened, what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class CheckpointError(Exception):
    """A checkpoint could not be written, found or read. The message says where, what, and what to do."""


class CheckpointNotFound(CheckpointError):
    """There is no whole checkpoint at this URI."""


class StaleAttempt(CheckpointError):
    """A driver of a higher attempt has taken over: this one must stop, and must not write."""


_ELSEWHERE = "or choose another checkpoint.uri"
_REMEDIES = {
    errno.ENOSPC: f"no space is left on the device; free some, lower checkpoint.keep, {_ELSEWHERE}",
    errno.EDQUOT: f"the disk quota is used up; free some space, lower checkpoint.keep, {_ELSEWHERE}",
    errno.EFBIG: f"the file is larger than a limit of the file system or the process; raise it, {_ELSEWHERE}",
    errno.EACCES: f"permission is denied; give this user write access, {_ELSEWHERE}",
    errno.EPERM: f"the operation is not permitted; give this user write access, {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only; mount it writable, {_ELSEWHERE}",
    errno.ENOTDIR: f"a part of this path is a file and not a folder; remove it, {_ELSEWHERE}",
    errno.EEXIST: "a file or folder is in the way; another driver may be writing the same attempt here",
    errno.ENOTEMPTY: "there is one of this number; another driver may be writing the same attempt here",
    errno.ENOENT: "a file or folder vanished or cannot be made here; was it removed, or is the URI mistyped?",
    errno.EIO: "the device reports an input/output error; check the disk or the mount",
}


@contextmanager
def explained(doing: str, uri: str) -> Iterator[None]:
    """Turn whatever a store raises into a CheckpointError: ``cannot <doing> <uri>: ...``."""
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check that the store is reachable and try again")
        file = f" (file {error.filename})" if error.filename else ""
        raise CheckpointError(f"cannot {doing} {uri}: {error.strerror or error}{file}: {remedy}") from error
    except Exception as error:
        raise CheckpointError(f"cannot {doing} {uri}: {type(error).__name__}: {error}") from error
