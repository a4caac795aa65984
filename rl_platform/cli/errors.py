"""How errors reach a person: a sentence on standard error, after the traceback of their own code if any."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rl_platform.cli.own_code import own_traceback
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.manifest import ManifestError, load_manifest
from rl_platform.spec.training_job import TrainingJob


class Refused(Exception):
    """The input was wrong; everything has been said on standard error."""


def load_job(path: str, overrides: Sequence[str] = ()) -> TrainingJob:
    """The job of a manifest. Prints every problem and raises Refused where it has some."""
    try:
        return load_manifest(path, overrides)
    except ManifestError as error:
        say(str(error))
        raise Refused from error


def say(text: str) -> None:
    print(text, file=sys.stderr)


def leave(message: str) -> None:
    """End the process, from a thread, where an environment never comes back."""
    code = failed(message)
    sys.stderr.flush()
    os._exit(code)


def failed(
    text: str, code: ExitCode = ExitCode.APPLICATION_FAILURE, cause: BaseException | None = None
) -> int:
    """The exit code. ``cause``: where the failure comes from; its traceback is shown from user code on."""
    trace = own_traceback(cause)
    if trace:
        say(trace.rstrip())
    say(f"error: {text}")
    return int(code)
