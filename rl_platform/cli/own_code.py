"""Where an error was raised in the user's own code: the part of its traceback that is theirs to read."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path

from rl_platform.workers.worker_losses import RemoteTraceback

OURS = str(Path(__file__).parents[1])
FOLLOWED = re.compile(r"\n\n(?:The above exception was|During handling of) ")
INSTALLED = tuple(sysconfig.get_paths()[part] for part in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_traceback(error: BaseException | None) -> str:
    """From the first line of the user's code to where it was raised; empty where none of it took part.

    What was raised first counts: an error of ours that names environment and step was raised from it.
    """
    if error is None:
        return ""
    passed = [error]
    while error.__cause__ is not None and error.__cause__ not in passed:  # user code may raise in a circle
        error = error.__cause__
        passed.append(error)
    if isinstance(error, RemoteTraceback):
        return _own_part(str(error.args[0]))
    frames = traceback.extract_tb(error.__traceback__)
    begin = next((i for i, frame in enumerate(frames) if _is_own(frame.filename)), None)
    if begin is None:
        return ""
    lines = traceback.StackSummary.from_list(frames[begin:]).format()
    return "".join(["Traceback (most recent call last):\n", *lines, *traceback.format_exception_only(error)])


def _own_part(text: str) -> str:
    """The same of a traceback that another process has written: of what was raised first."""
    head, *frames = re.split(r'(?m)^(?=  File ")', FOLLOWED.split(text)[0])
    begin = next((i for i, frame in enumerate(frames) if _is_own(frame.split('"')[1])), None)
    return "" if begin is None else "".join([head, *frames[begin:]])


def _is_own(file: str) -> bool:
    """Compiled extensions name their sources by a path that leads nowhere, and frozen modules by none."""
    return Path(file).is_absolute() and not file.startswith((OURS, *INSTALLED))
