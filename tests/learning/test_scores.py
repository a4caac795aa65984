"""Every published score, measured as by a stranger: ``rlp run``, then ``rlp evaluate``.

Greedy, 100 fresh episodes, every seed has to pass. The README's table is written from what was measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.learning.score_table import README, Measured, updated
from tests.learning.tasks import EPISODES, EXAMPLES, TASKS, Task

RLP = Path(sys.executable).with_name("rlp")


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, Measured]]:
    scores: dict[str, Measured] = defaultdict(Measured)
    yield scores
    text = updated(README.read_text(), scores)
    README.write_text(text)


def rlp(*arguments: str) -> dict[str, Any]:
    """The JSON that a command ends with."""
    done = subprocess.run([RLP, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.learning
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("task", "seed"),
    [pytest.param(task, seed, id=f"{task.name}, seed {seed}") for task in TASKS for seed in task.seeds],
)
def test_the_last_checkpoint_scores(
    task: Task, seed: int, tmp_path: Path, measured: dict[str, Measured]
) -> None:
    run = tmp_path / "run"
    overrides = [f"spec.seed={seed}", "spec.tracking.enabled=false", *task.overrides]
    settings = [part for override in overrides for part in ("--set", override)]
    result = rlp("run", str(EXAMPLES / f"{task.example}.yaml"), *settings, "--output", str(run), "--quiet")
    fresh = rlp("evaluate", str(run), "--episodes", str(EPISODES), "--seed", str(1000 + seed))
    shutil.rmtree(run)
    measured[task.name].env_steps = result["envSteps"]
    measured[task.name].returns[seed] = fresh["returnMean"]
    assert fresh["episodes"] == EPISODES
    assert result["envSteps"] <= task.env_steps
    assert task.passes(fresh["returnMean"]), f"{fresh['returnMean']}, needed {task.needed}"
