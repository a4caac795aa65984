"""The table of scores in the README, between its markers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.learning.tasks import TASKS, Task

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- learning -->", "<!-- /learning -->"
HEAD = (
    "| task | needed | env steps | return with seeds 1, 2, 3 |",
    "|---|---|---|---|",
)


@dataclass
class Measured:
    """What a task has shown so far: its returns by seed."""

    env_steps: int = 0
    returns: dict[int, float] = field(default_factory=dict)

    def row(self, task: Task) -> str:
        example = f"[{task.name}](helm/examples/{task.example}.yaml)" if not task.overrides else task.name
        returns = ", ".join(f"{self.returns[seed]:.1f}" for seed in task.seeds)
        return f"| {example} | {task.needed} | {self.env_steps:,} | {returns} |"


def updated(text: str, measured: Mapping[str, Measured]) -> str:
    """The README's text with the rows of completely measured tasks replaced. ValueError without markers."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"the README has no {BEGIN} and {END}: the table has no place")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    rows = {task.name: _old_row(table, task) for task in TASKS}
    for task in TASKS:
        found = measured.get(task.name)
        if found is not None and set(found.returns) >= set(task.seeds):
            rows[task.name] = found.row(task)
    lines = [BEGIN, *HEAD, *(row for row in rows.values() if row), END]
    return before + "\n".join(lines) + after


def _old_row(table: str, task: Task) -> str:
    starts = (f"| {task.name} |", f"| [{task.name}](")
    return next((line for line in table.splitlines() if line.startswith(starts)), "")
