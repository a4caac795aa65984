"""The status as the server has it, whoever wrote it: what cannot be read is left out, the rest counts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from rl_platform.spec.status import TrainingJobStatus

MOST_FAULTS = 100
"""One that has more was not written by an operator of any version, and is built anew."""


def status_from(document: Mapping[str, Any]) -> TrainingJobStatus:
    """An operator of a later version may have written more than is known here, before it was taken back."""
    return _read(to_json(document))


@lru_cache(maxsize=128)
def _read(text: bytes) -> TrainingJobStatus:
    """A status is read when it has been written, and in every pass until it changes."""
    document = from_json(text)
    try:
        return TrainingJobStatus.model_validate(document)
    except ValidationError as error:
        left, fault = copy.deepcopy(document), error
    with suppress(LookupError, TypeError):  # a document that is no such one at all
        for _ in range(MOST_FAULTS):
            _leave_out(left, fault)
            try:
                return TrainingJobStatus.model_validate(left)
            except ValidationError as error:
                fault = error
    return TrainingJobStatus()


def _leave_out(document: Any, fault: ValidationError) -> None:
    """The value that the first fault is about, or what lacks one."""
    first = fault.errors(include_url=False, include_input=False)[0]
    where = first["loc"][:-1] if first["type"] == "missing" else first["loc"]
    for step in where[:-1]:
        document = document[step]
    del document[where[-1]]
