"""``rlp plot``: learning curves of runs in one picture."""

from __future__ import annotations

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
        plot_runs(runs, picture)
    except (ValueError, OSError) as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    print(picture)
    return int(ExitCode.DONE)
