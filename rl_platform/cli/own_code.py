"""Where an error was raised in the user's own code: the part of its traceback that is theirs to read."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path

from rl_platform.data.shortened import TRACEBACK_CHARACTERS, shortened
from rl_platform.workers.worker_losses import RemoteTraceback

OURS = str(Path(__file__).parents[1])
FOLLOWED = re.compile(r"\n\n(?:The above exception was|During handling of) ")
INSTALLED = tuple(sysconfig.get_paths()[part] for part in ("stdlib", "platstdlib", "purelib", "platlib"))


def own_traceback(error: BaseException | None) -> str:
    """From the first line of the user's code to where it was raised; empty where none of it took part.

    What was raised first counts: an error of ours that names environment and step was raised from it. Where
    one was raised on purpose, its message says what it is about: the way there through our code is left out.
    """
    if error is None:
        return ""
    passed = [error]
    while error.__cause__ is not None and error.__cause__ not in passed:  # user code may raise in a circle
        error = error.__cause__
        passed.append(error)
    if isinstance(error, RemoteTraceback):
        return _own_part(*_taken_apart(str(error.args[0])))
    # One by one: together the repeated frames of a recursion would be folded into one.
    summary = traceback.extract_tb(error.__traceback__)
    frames = [(it.filename, "".join(traceback.StackSummary.from_list([it]).format())) for it in summary]
    return _own_part(frames, "".join(traceback.format_exception_only(error)))


def _taken_apart(text: str) -> tuple[list[tuple[str, str]], str]:
    """Of what was raised first in a traceback that another process wrote: frames by file, and the error."""
    _, *frames = re.split(r'(?m)^(?=  File ")', FOLLOWED.split(text)[0])
    if not frames:
        return [], text
    found = re.search(r"\n(?=\S)", frames[-1])
    end = found.end() if found else len(frames[-1])
    frames[-1], raised = frames[-1][:end], frames[-1][end:]
    return [(frame.split('"')[1], frame) for frame in frames], raised


def _own_part(frames: list[tuple[str, str]], raised: str) -> str:
    own = [_is_own(file) for file, _ in frames]
    if not any(own):
        return ""
    begin = own.index(True)
    end = next(i for i in range(len(frames), begin, -1) if not frames[i - 1][0].startswith(OURS))
    shown = shortened("".join(text for _, text in frames[begin:end]), TRACEBACK_CHARACTERS // 2)
    return f"Traceback (most recent call last):\n{shown}{shortened(raised, TRACEBACK_CHARACTERS // 2)}"


def _is_own(file: str) -> bool:
    """Compiled extensions name their sources by a path that leads nowhere, and frozen modules by none."""
    return Path(file).is_absolute() and not file.startswith((OURS, *INSTALLED))
