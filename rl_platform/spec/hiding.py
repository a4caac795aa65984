"""What must not stand in a status, an event or a log, whoever has said it: tokens, and passwords in URIs
and variables.
"""

from __future__ import annotations

import re
from functools import lru_cache

HIDDEN = "[hidden]"
SHORT = 200  # characters
_NAMES = (
    r"passw(?:or)?d|passphrase|secret|token|signature|credentials?"
    r"|(?:access|secret|api|account|shared|private)[_-]?key(?:[_-]?id)?"
    r"|[?&;](?:sig|pwd|key|auth)"  # anywhere else they are words like any other
)
# No part begins with what may have any length: a driver's log is searched whole, whoever wrote it.
_SHAPES = re.compile(
    r"(?i)(?<=bearer )[\"']?[^\s\"',}]+"
    r"|rlp_[0-9a-f]{64}"  # the token of a job
    r"|(?<=://)(?:[^\s/@:\"']*:[^\s/@\"']+|[^\s/@\"'?#]+)(?=@)"  # scheme://name:password@host
    rf"|(?P<name>(?:{_NAMES})(?:=[\"']?|[\"']: ?[\"']))[^\s&;#\"',]+"  # ?password=, TOKEN=, 'secret': '
)


def hide(text: str) -> str:
    """Without what is shaped like a secret; no longer than it was, so that it fits where it stood."""
    return _hidden(text) if len(text) <= SHORT else _SHAPES.sub(_shown, text)


@lru_cache(maxsize=1024)
def _hidden(text: str) -> str:
    """Names of fields and sentences of our own come again with every look at a job."""
    return _SHAPES.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    name = found["name"] or ""
    length = len(found[0]) - len(name)
    return name + (HIDDEN if length >= len(HIDDEN) else "*" * length)
