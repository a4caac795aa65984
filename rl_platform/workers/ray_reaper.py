"""Ends what is left of a run's own Ray when the run has ended, however it ended: ``ray_reaper.py FOLDER``.

A killed driver cannot stop its Ray, and the agents of Ray look for a head that is gone for a minute and more.
This runs beside the driver as a process of its own, on nothing but the standard library.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FOLDER_ENV = "RLP_RAY_FOLDER"
"""Set for Ray's processes, and inherited by whatever they start."""
CLOSED = b"closed"
"""What a driver says that has stopped its Ray itself."""
LEFT = (
    "rlp: the driver has ended without stopping its Ray: it was killed, its Ray broke down, or it ended "
    "itself. What was left of Ray is ended now. With --resume the run goes on from its last checkpoint, if "
    "there is one.\n"
)
OF_RAYLET = (b"/raylet.out", b"/raylet.err")
PASSES = 50
"""What is killed may be starting something in the same moment: all are looked for until none is found."""


def end_all(folder: Path) -> None:
    """Kill every process of the Ray whose files are in this folder."""
    for _ in range(PASSES):
        found = list(_processes(folder))
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not found:
            return
        time.sleep(0.1)


def _processes(folder: Path) -> Iterator[int]:
    """By what it was started with, or by what it has of the raylet that started it: one that names itself
    anew overwrites the rest. The driver has opened files there too.
    """
    variable = f"{FOLDER_ENV}=".encode() + os.fsencode(folder)
    inside = os.fsencode(folder) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_of_it = (
                inside in (process / "cmdline").read_bytes()
                or variable in (process / "environ").read_bytes().split(b"\0")
                or any(it.startswith(inside) and it.endswith(OF_RAYLET) for it in _open_files(process))
            )
        except OSError:  # gone since, or somebody else's
            continue
        if is_of_it and int(process.name) != os.getpid():
            yield int(process.name)


def _open_files(process: Path) -> Iterator[bytes]:
    for each in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            yield os.fsencode(os.readlink(each))


def main() -> None:
    """Until standard input closes; a driver that is gone by then has said nothing."""
    folder = Path(sys.argv[1])
    said = sys.stdin.buffer.read()
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)
    if not said:
        with suppress(OSError):
            sys.stderr.write(LEFT)


if __name__ == "__main__":
    main()
