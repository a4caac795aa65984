"""Bugs planted in the operator's own code, one at a time in a copy: do the tests that should notice, notice?

Run it as ``python -m tests.simulation.planted_bugs [--jobs N] [--results FILE] [WORD...]``. A bug is a
place and one of a fixed list of operators on the syntax tree; the tests mapped to it are scenarios of the
simulation, without a fault and with some, and tests of its module. What FILE says already is not tried again,
so that a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
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
OPERATOR = Path("operator") / "rl_operator"
LEAST_CAUGHT = 0.95
SECONDS = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """``said``: the last lines of the tests."""

    plant: Plant
    caught: bool
    said: str


def plant(folder: Path, bug: Plant) -> None:
    """Into a copy of the operator. Raises ValueError where its place is gone: the table follows the code."""
    shutil.copytree(ROOT / OPERATOR, folder / OPERATOR, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / OPERATOR / f"{bug.module.replace('.', '/')}.py"
    path.write_text(mutated(path.read_text(), bug.function, bug.operator, bug.was, bug.becomes))


def tried(bug: Plant) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        plant(folder, bug)
        said = ""
        for command in _commands(bug):
            environment = {**os.environ, "PYTHONPATH": f"{folder / 'operator'}:{ROOT}"}
            try:
                ran = subprocess.run(
                    [sys.executable, "-m", *command],
                    cwd=ROOT,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Verdict(bug, True, "takes too long")
            said = (ran.stdout + ran.stderr)[-400:]
            if ran.returncode:
                return Verdict(bug, True, said)
        return Verdict(bug, False, said)


def _commands(bug: Plant) -> Iterator[list[str]]:
    if bug.tests:
        # Without the folders of pyproject.toml, which would bring back the operator that has no bug.
        yield ["pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", "pythonpath=", *bug.tests]
    if bug.scenarios:
        yield ["tests.simulation.probe", *bug.scenarios]


def report(verdicts: list[Verdict]) -> Iterator[str]:
    caught = sum(verdict.caught for verdict in verdicts)
    for verdict in verdicts:
        if not verdict.caught:
            yield f"not caught: {verdict.plant}"
    yield f"Planted bugs: {caught} of {len(verdicts)} caught, with {len(OPERATORS)} operators"


def known(results: Path | None) -> dict[str, bool]:
    """By bug: whether it was caught in an earlier run."""
    if results is None or not results.exists():
        return {}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return {line["bug"]: line["caught"] for line in lines}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="planted_bugs")
    parser.add_argument("--jobs", type=int, default=2, help="bugs that are tried at once")
    parser.add_argument("--results", type=Path, help="verdicts so far, one to a line")
    parser.add_argument("words", nargs="*", help="parts of the bugs' names; none: all")
    asked = parser.parse_args(words)
    before = known(asked.results)
    chosen = [bug for bug in PLANTS if not asked.words or any(word in str(bug) for word in asked.words)]
    verdicts = [Verdict(bug, before[str(bug)], "") for bug in chosen if str(bug) in before]
    with ThreadPoolExecutor(max_workers=asked.jobs) as pool:
        for verdict in pool.map(tried, [bug for bug in chosen if str(bug) not in before]):
            mark = "caught" if verdict.caught else "NOT CAUGHT"
            sys.stdout.write(f"{mark:10} {verdict.plant}\n")
            sys.stdout.flush()
            verdicts.append(verdict)
            if asked.results is not None:
                with asked.results.open("a") as file:
                    file.write(json.dumps({"bug": str(verdict.plant), "caught": verdict.caught}) + "\n")
    sys.stdout.write("\n".join(report(verdicts)) + "\n")
    return int(sum(it.caught for it in verdicts) < LEAST_CAUGHT * len(verdicts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
