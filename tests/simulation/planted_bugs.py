"""Bugs planted in the operator's own code, one at a time in a copy: do the tests that should notice, notice?

Run it as ``python -m tests.simulation.planted_bugs`` (make test-planted-bugs). A bug is a place and one of a
fixed list of operators on the syntax tree; the tests mapped to it are scenarios of the simulation, without a
fault and with some.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mutations import OPERATORS, mutated
from tests.simulation.plants import PLANTS, Plant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("operator", "rl_platform", "tests", "helm")
LEAST_CAUGHT = 0.95
SECONDS = 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """``said``: the last lines of the tests."""

    plant: Plant
    caught: bool
    said: str


def copy(folder: Path) -> None:
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__", ".control-plane")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)


def plant(folder: Path, bug: Plant) -> None:
    """Raises ValueError where the place is no longer there: the table has to follow the code."""
    path = folder / "operator" / "rl_operator" / f"{bug.module.replace('.', '/')}.py"
    path.write_text(mutated(path.read_text(), bug.function, bug.operator, bug.was, bug.becomes))


def tried(bug: Plant) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        copy(folder)
        plant(folder, bug)
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{folder / 'operator'}"}
        command = [sys.executable, "-m", "tests.simulation.probe", *bug.scenarios]
        try:
            ran = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Verdict(bug, True, "takes too long")
        return Verdict(bug, ran.returncode != 0, (ran.stdout + ran.stderr)[-400:])


def report(verdicts: list[Verdict]) -> Iterator[str]:
    caught = sum(verdict.caught for verdict in verdicts)
    for verdict in verdicts:
        if not verdict.caught:
            yield f"not caught: {verdict.plant}"
    yield f"Planted bugs: {caught} of {len(verdicts)} caught, with {len(OPERATORS)} operators"


def main(words: list[str]) -> int:
    """``words``: parts of the bugs' names; none: all."""
    chosen = [bug for bug in PLANTS if not words or any(word in str(bug) for word in words)]
    verdicts = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for verdict in pool.map(tried, chosen):
            mark = "caught" if verdict.caught else "NOT CAUGHT"
            sys.stdout.write(f"{mark:10} {verdict.plant}\n")
            sys.stdout.flush()
            verdicts.append(verdict)
    sys.stdout.write("\n".join(report(verdicts)) + "\n")
    return int(sum(it.caught for it in verdicts) < LEAST_CAUGHT * len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
