"""``rlp plot``: learning curves of runs in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_platform.cli.errors import failed
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.tracking.curves import plot_runs


def plot(folders: Sequence[str], output: str) -> int:
    try:
        plot_runs([Path(folder) for folder in folders], Path(output))
    except (ValueError, OSError) as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    print(output)
    return int(ExitCode.DONE)
