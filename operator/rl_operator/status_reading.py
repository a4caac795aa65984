"""The status as the server has it, whoever wrote it: what cannot be read is left out, the rest counts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from rl_platform.spec.status import TrainingJobStatus

MOST_FAULTS = 100
"""One that has more was not written by an operator of any version, and is built anew."""


def status_from(document: Mapping[str, Any]) -> TrainingJobStatus:
    """An operator of a later version may have written more than is known here, before it was taken back."""
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
