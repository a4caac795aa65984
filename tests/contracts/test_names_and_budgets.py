"""Names that say nothing are refused, and what has to stay readable stays short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.contracts.source_files import LIBRARY, ROOT, python_files, shown

SAYS_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}
PLAN_LINES = {"pg": 10, "a3c": 10, "ppo": 15, "ddppo": 15, "dqn": 20}
ANY_PLAN = 40
ALGORITHM_FILE = 200
NOT_ALGORITHMS = {"__init__", "algorithm"}
READING_PATH = 900


def banned(paths: tuple[Path, ...]) -> list[str]:
    """Modules and folders whose name says nothing, on their own or as one word of several."""
    return [
        shown(path)
        for path in paths
        for part in (*path.relative_to(ROOT).parts[:-1], path.stem)
        if SAYS_NOTHING & set(part.split("_"))
    ]


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert banned(python_files()) == []


@pytest.mark.parametrize("name", ["utils.py", "env_utils.py", "common/space.py", "core.py", "base.py"])
def test_such_a_name_would_be_seen(name: str) -> None:
    assert banned((LIBRARY / name,))


def test_operator_is_a_folder_and_never_a_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists(), "it would shadow the standard library's operator"


def algorithms() -> list[Path]:
    return sorted(path for path in (LIBRARY / "algorithms").glob("*.py") if path.stem not in NOT_ALGORITHMS)


def lines_of_plan(source: str) -> int:
    """Lines of the function ``plan`` from its signature on, without docstring and blank lines."""
    plan = next(
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "plan"
    )
    taken = range(plan.lineno, (plan.end_lineno or plan.lineno) + 1)
    docstring: range = range(0)
    if ast.get_docstring(plan) is not None:
        docstring = range(plan.body[0].lineno, (plan.body[0].end_lineno or 0) + 1)
    text = source.splitlines()
    return sum(1 for line in taken if line not in docstring and text[line - 1].strip())


@pytest.mark.parametrize("path", algorithms(), ids=lambda path: path.stem)
def test_an_algorithm_is_one_short_file_with_a_short_plan(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= ALGORITHM_FILE
    assert lines_of_plan(source) <= PLAN_LINES.get(path.stem, ANY_PLAN)


def test_the_lines_of_a_plan_are_counted_without_docstring_and_blank_lines() -> None:
    assert (
        lines_of_plan(
            'def plan(run, cfg):\n    """What.\n\n    More.\n    """\n\n    x = 1\n\n    return x\n'
        )
        == 3
    )


def reading_path() -> list[str]:
    """The files in the README's table of what to read, in its order."""
    section = (ROOT / "README.md").read_text().partition("## How to read the code")[2].partition("\n## ")[0]
    return re.findall(r"^\|[^|]*\|[^|]*\|\s*`([^`]+)`\s*\|", section, re.MULTILINE)


def test_the_way_of_the_data_can_be_read_in_one_sitting() -> None:
    files = reading_path()
    assert len(files) >= 5, "the README's table names the files in its last column"
    missing = [name for name in files if not (ROOT / name).is_file()]
    assert missing == []
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in files}
    assert sum(lines.values()) <= READING_PATH, lines
