"""What must not stand in a status, an event or a log, whoever has said it: tokens, and passwords in URIs."""

from __future__ import annotations

import re
from dataclasses import replace

from rl_operator.driver_contact import DriverSighting
from rl_platform.spec.driver_protocol import Progress

HIDDEN = "[hidden]"
_SHAPES = re.compile(
    r"(?i)(?<=bearer )[^\s\"',}]+"
    r"|rlp_[0-9a-f]{64}"  # the token of a job
    r"|(?<=://)[^\s/@:\"']*:[^\s/@\"']+(?=@)"  # scheme://name:password@host
)


def hide(text: str) -> str:
    """Without what is shaped like a secret."""
    return _SHAPES.sub(HIDDEN, text)


def hide_in_sighting(seen: DriverSighting) -> DriverSighting:
    """A driver, its log and Ray say what they like, and most of it is written down."""
    progress = seen.progress
    if progress is not None:
        text = progress.model_dump_json(by_alias=True)
        if (shown := hide(text)) != text:
            progress = Progress.model_validate_json(shown)
    return replace(
        seen,
        message=hide(seen.message),
        error=hide(seen.error),
        log_tail=hide(seen.log_tail),
        progress=progress,
    )
