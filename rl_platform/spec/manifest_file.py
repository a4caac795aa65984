"""The text of a manifest's file, bounded in size and in time whatever the path turns out to be."""

from __future__ import annotations

import os
import select
import time
from difflib import get_close_matches
from pathlib import Path

from rl_platform.spec.problems import ManifestError, Problem

MAX_BYTES = 2**20
SILENT_SECONDS = 10.0
"""How long a pipe or a terminal may say nothing."""


def read_manifest_file(path: Path) -> str:
    """The file as text; a pipe is read to its end. Raises ManifestError."""

    def refuse(message: str, hint: str, line: int | None = None) -> ManifestError:
        return ManifestError([Problem(str(path), line, "", message, hint)])

    try:
        content = _read(path)
    except FileNotFoundError:
        raise refuse("does not exist", _near_files(path)) from None
    except IsADirectoryError:
        raise refuse("is a directory", "a manifest file is needed") from None
    except TimeoutError:
        message = f"is no file, and nothing came from it for {SILENT_SECONDS:g} s"
        raise refuse(message, "a manifest file is needed") from None
    except (OSError, ValueError) as error:
        raise refuse(f"cannot be read: {error}", "check the path and its permissions") from None
    if len(content) > MAX_BYTES:
        raise refuse(f"has more than {MAX_BYTES} bytes", "a manifest is smaller") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refuse(
            f"is not UTF-8 at byte {error.start} of the file", "save the file as UTF-8", line
        ) from None


def _read(path: Path) -> bytes:
    """At most one byte more than is allowed. Raises OSError, TimeoutError, and ValueError for a bad path."""
    # Non-blocking, because opening a named pipe waits for a writer that may never come.
    source, content = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), b""
    try:
        deadline = time.monotonic() + SILENT_SECONDS
        while len(content) <= MAX_BYTES:
            if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            block = os.read(source, MAX_BYTES + 1 - len(content))
            if not block:
                break
            content += block
            deadline = time.monotonic() + SILENT_SECONDS
    finally:
        os.close(source)
    return content


def _near_files(path: Path) -> str:
    try:
        names = [it.name for it in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else "check the path"
