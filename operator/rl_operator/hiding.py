"""A sighting without what is shaped like a secret: a driver, its log and Ray say what they like."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from rl_operator.driver_contact import DriverSighting
from rl_platform.spec.driver_protocol import Progress
from rl_platform.spec.hiding import hide


def hide_in_sighting(seen: DriverSighting) -> DriverSighting:
    """Most of it is written down."""
    progress = seen.progress
    if progress is not None:
        said = progress.model_dump(mode="json", by_alias=True)
        if (shown := _hidden(said)) != said:
            progress = _read(shown)
    message, error, log_tail = hide(seen.message), hide(seen.error), hide(seen.log_tail)
    if progress is seen.progress and (message, error, log_tail) == (seen.message, seen.error, seen.log_tail):
        return seen
    return replace(seen, message=message, error=error, log_tail=log_tail, progress=progress)


def _hidden(said: Any) -> Any:
    """Text by text: in a document as a whole, what hides the secret could take a quote with it."""
    if isinstance(said, str):
        return hide(said)
    if isinstance(said, dict):
        return {_hidden(name): _hidden(value) for name, value in said.items()}
    return [_hidden(it) for it in said] if isinstance(said, list) else said


def _read(document: Any) -> Progress | None:
    """None where it is a secret that made a field valid: then nothing of it is shown."""
    try:
        return Progress.model_validate_json(json.dumps(document))
    except ValidationError:
        return None
