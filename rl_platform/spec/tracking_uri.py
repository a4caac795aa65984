"""What the URI of an MLflow server says, read without MLflow: a database's file, and what may be shown."""

from __future__ import annotations

import re
from pathlib import Path

_FILE = re.compile(r"sqlite(?:\+[a-z]+)?:///(?!:memory:|file:)([^?]+)")


def without_password(text: str) -> str:
    """The text with what stands before the host left out of the URIs in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def sqlite_file(uri: str) -> Path | None:
    """The file of a sqlite database; None for a server, another database, and one with settings."""
    found = _FILE.fullmatch(uri)
    return Path(found.group(1)) if found else None
