"""``rlp`` as a user has it: a process with its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.contracts.source_files import ROOT

RLP = str(Path(sys.executable).parent / "rlp")
EXAMPLES = ROOT / "helm" / "examples"
CARTPOLE = EXAMPLES / "cartpole-ppo.yaml"
TINY = (
    "--set=spec.tracking.enabled=false",
    "--set=spec.evaluation.episodes=2",
    "--set=spec.algorithm.ppo.batchSize=256",
    "--set=spec.algorithm.ppo.minibatchSize=128",
    "--set=spec.algorithm.ppo.epochs=1",
    "--set=spec.checkpoint.everyUpdates=4",
    "--set=spec.stop.envSteps=1024",
)
"""PPO on CartPole in four iterations of two updates, without MLflow."""


def rlp(
    folder: Path, *arguments: str | Path, timeout: float = 240.0, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` to its end, without a terminal; ``variables`` join its environment."""
    return subprocess.run(
        [RLP, *map(str, arguments)],
        cwd=folder,
        env=clean_environment() | (variables or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def started(folder: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command and leave it running; its standard error goes to ``stderr.txt``."""
    with (folder / "stderr.txt").open("w") as stderr:
        return subprocess.Popen(
            [RLP, *map(str, arguments)],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
        )


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}


def reports(run: Path) -> int:
    """How many reports the run has written."""
    path = run / "progress.jsonl"
    return path.read_text().count("\n") if path.is_file() else 0


def wait_for_reports(process: subprocess.Popen[str], run: Path, count: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while reports(run) < count:
        assert process.poll() is None, "the run ended before it was interrupted"
        assert time.monotonic() < deadline, f"no {count} reports in {seconds} s"
        time.sleep(0.02)


def result_of(run: Path) -> dict[str, Any]:
    document = json.loads((run / "result.json").read_text())
    assert isinstance(document, dict)
    return document
