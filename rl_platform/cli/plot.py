"""``rlp plot``: learning curves of runs in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rl_platform.cli.errors import failed
from rl_platform.driver.run_folder import PICTURE
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.tracking.curves import plot_runs


def plot(folders: Sequence[str], output: str | None) -> int:
    """Where no ``output`` is named, the curve of one run lies in its folder, that of several here."""
    runs = [Path(folder) for folder in folders]
    picture = Path(output) if output else (runs[0] if len(runs) == 1 else Path()) / PICTURE
    try:
        if output:
            _refuse_no_picture(picture)
        plot_runs(runs, picture)
    except ValueError as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    except OSError as error:
        which = f"--output: {picture}" if output else str(picture)
        told = f"{which} {_problem(picture, error)}; name another picture with --output"
        return failed(told, ExitCode.BAD_CONFIGURATION)
    print(picture)
    return int(ExitCode.DONE)


def _refuse_no_picture(path: Path) -> None:
    """Raises ValueError where it is a folder, or has the ending of something else."""
    if os.path.isdir(path):
        raise ValueError(f"--output: {path} is a folder; name the picture in it, such as {path / PICTURE}")
    if path.suffix.lower() != ".png":
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        right = path.with_suffix(".png")
        raise ValueError(f"--output: {path} {ending}, and the picture is a PNG: name it {right}")


def _problem(path: Path, error: OSError) -> str:
    if os.path.isdir(path):
        return "is a folder"
    if isinstance(error, FileExistsError | NotADirectoryError):  # of making the folder
        return "cannot be written: its path leads through a file"
    return f"cannot be written: {error.strerror or error}"
