"""The reports on sizes, copies and dead code see what they are for, planted into files of their own."""

from __future__ import annotations

from pathlib import Path

from tests.contracts.dead_code import unused
from tests.contracts.duplicates import copies
from tests.contracts.sizes import report
from tests.contracts.source_files import library_files

FUNCTION = """
def {name}(values, limit):
    total = 0
    for index, value in enumerate(values):
        if value > limit:
            total += value * 2
        elif value < -limit:
            total -= value * 3
        else:
            total += index
    while total > 100:
        total = total // 2 + limit
    return [total, limit, len(values)]
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_function_of_81_lines_is_too_large_and_one_of_80_is_not(tmp_path: Path) -> None:
    def function(lines: int) -> str:
        return "def long():\n" + "    x = 1\n" * (lines - 1)

    assert report([written(tmp_path, "a.py", function(80))])[1]
    text, good = report([written(tmp_path, "b.py", function(81))])
    assert not good
    assert "81" in text
    assert "long" in text


def test_a_file_of_401_lines_is_too_large_and_one_of_400_is_not(tmp_path: Path) -> None:
    assert report([written(tmp_path, "a.py", "x = 1\n" * 400)])[1]
    assert not report([written(tmp_path, "b.py", "x = 1\n" * 401)])[1]


def test_what_is_above_the_aim_is_listed_but_passes(tmp_path: Path) -> None:
    text, good = report([written(tmp_path, "a.py", "x = 1\n" * 151)], listed=tmp_path)
    assert good
    assert "above 150" in text


def test_copied_code_is_found_whatever_its_layout_and_comments(tmp_path: Path) -> None:
    one = written(tmp_path, "one.py", FUNCTION.format(name="score"))
    body = (
        FUNCTION.format(name="tally")
        .replace("total = 0\n", "total = 0  # a comment\n\n")
        .replace("    ", "  ")
    )
    two = written(tmp_path, "two.py", f'"""Other."""\n\nother = 1\n{body}')
    (found,) = copies([one, two])
    assert [Path(found.first).name, Path(found.second).name] == ["one.py:3", "two.py:6"]
    assert found.tokens > 60


def test_code_that_differs_in_a_name_throughout_is_no_copy(tmp_path: Path) -> None:
    one = written(tmp_path, "one.py", FUNCTION.format(name="score"))
    two = written(tmp_path, "two.py", FUNCTION.format(name="score").replace("total", "amount"))
    assert copies([one, two]) == []


def test_a_function_copied_within_its_file_is_found_once(tmp_path: Path) -> None:
    text = FUNCTION.format(name="score") + FUNCTION.format(name="tally")
    assert len(copies([written(tmp_path, "one.py", text)])) == 1


def test_unused_code_of_the_library_is_named_and_an_idle_allowance_too() -> None:
    alone = next(path for path in library_files() if path.name == "gae.py")
    assert any("unused function 'gae'" in line for line in unused([alone], allowed={}))
    assert any(
        "ALLOWED names nowhere" in line for line in unused([alone], allowed={"nowhere": "for this test"})
    )
