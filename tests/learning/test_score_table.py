from __future__ import annotations

import pytest

from tests.learning.score_table import BEGIN, END, README, Measured, updated
from tests.learning.tasks import EXAMPLES, TASKS


def test_a_measured_task_replaces_its_row_and_leaves_the_others() -> None:
    first, second = TASKS[:2]
    once = updated(f"# Title\n{BEGIN}\n{END}\nmore\n", {first.name: Measured(1_000, {1: 1, 2: 2, 3: 3})})
    twice = updated(once, {second.name: Measured(2_000, {1: 4, 2: 5, 3: 6})})
    thrice = updated(twice, {first.name: Measured(3_000, {1: 7, 2: 8, 3: 9})})
    assert "1,000 | 1.0, 2.0, 3.0" in twice
    rows = thrice.splitlines()
    assert rows[0] == "# Title"
    assert rows[-1] == "more"
    assert [row.split("|")[3].strip() for row in rows if row.startswith("| [")] == ["3,000", "2,000"]


def test_a_task_with_a_seed_missing_is_not_published() -> None:
    text = updated(f"{BEGIN}\n{END}", {TASKS[0].name: Measured(1_000, {1: 500.0, 3: 500.0})})
    assert TASKS[0].name not in text


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="the table has no place"):
        updated("# Title", {})


def test_every_task_is_published_with_scores_that_pass() -> None:
    """Run ``make test-learning`` after adding or changing a task: it writes the row."""
    table = README.read_text().partition(BEGIN)[2].partition(END)[0]
    for task in TASKS:
        assert (EXAMPLES / f"{task.example}.yaml").is_file()
        names = (f"| {task.name} |", f"| [{task.name}]")
        (row,) = [line for line in table.splitlines() if line.startswith(names)]
        _, _, needed, steps, returns, _ = (cell.strip() for cell in row.split("|"))
        assert needed == task.needed
        assert int(steps.replace(",", "")) <= task.env_steps
        scores = [float(score) for score in returns.split(", ")]
        assert len(scores) == len(task.seeds)
        assert all(task.passes(score) for score in scores)
