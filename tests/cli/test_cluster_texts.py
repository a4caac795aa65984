"""What the cluster commands compute without a cluster: units, tables, changes, the seam of two logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator import names
from rl_platform.cli import driver_logs
from rl_platform.cli.amounts import age, bar, clipped, duration, parse_time, plain, short_count, table
from rl_platform.cli.changes import ABSENT, changes
from rl_platform.cli.logs import last_lines
from rl_platform.cli.seen_job import OPERATOR, SeenJob

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
LINES = st.lists(st.integers(0, 10**9).map(lambda number: f"{number:012}\n"), max_size=30, unique=True)
LOG = LINES.map("".join)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (86399, "23 h 59 min"),
        (100 * 3600, "4 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (950, "950"),
        (999.6, "1k"),
        (70_144, "70.1k"),
        (140_000, "140k"),
        (999_600, "1M"),
        (1_250_000, "1.25M"),
        (10**13, "10T"),
    ],
)
def test_short_counts(number: float, text: str) -> None:
    assert short_count(number) == text


@given(st.floats(0, 10**13))
def test_a_short_count_is_right_to_three_digits(number: float) -> None:
    text = short_count(number)
    sizes = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    value = float(text.rstrip("kMGT")) * sizes.get(text[-1], 1)
    assert len(text) <= 5
    assert abs(value - number) <= max(0.5, 0.0051 * number)


@given(st.timedeltas(timedelta(0), timedelta(days=3000)))
def test_an_age_is_what_has_passed_rounded_down_to_its_unit(passed: timedelta) -> None:
    text = age((NOW - passed).isoformat(), NOW)
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]
    assert 0 <= passed.total_seconds() - int(text[:-1]) * unit < max(unit, 1)


def test_an_age_of_nothing_is_empty_and_a_clock_behind_is_no_error() -> None:
    assert age("", NOW) == age(None, NOW) == age("yesterday", NOW) == ""
    assert age((NOW + timedelta(minutes=5)).isoformat(), NOW) == "0s"
    assert parse_time("2026-01-31T12:00:00") == parse_time("2026-01-31T12:00:00Z") == NOW


@given(st.floats(-1, 2))
def test_a_bar_is_full_at_the_end_and_not_before(share: float) -> None:
    assert len(bar(share)) == 26
    assert ("." not in bar(share)) == (share >= 1)


@given(st.text(), st.integers(0, 100))
def test_texts_of_others_cannot_move_the_cursor_or_be_too_wide(text: str, width: int) -> None:
    assert plain(text).isprintable()
    assert len(clipped(plain(text), width)) <= max(width, 1)


def test_a_field_of_an_object_is_shown_without_control_characters() -> None:
    job = SeenJob({"status": {"model": {"uri": "models:/m\x1b[2J\n"}}})
    assert job.text("status", "model", "uri") == "models:/m [2J"


@given(st.lists(st.tuples(st.text("abc", max_size=9), st.text("abc", max_size=9)), min_size=1))
def test_columns_of_a_table_begin_in_the_same_place(rows: list[tuple[str, str]]) -> None:
    width = max(len(first) for first, _ in rows) + 3
    for line, (first, second) in zip(table(rows).split("\n"), rows, strict=True):
        assert line == f"{first:<{width}}{second}".rstrip()


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    rest = put(document.get(path[0], {}), path[1:], value)
    others = {key: each for key, each in document.items() if key != path[0]}
    return others if rest is ABSENT else others | {path[0]: rest}


@given(DOCUMENTS, DOCUMENTS)
def test_changes_turn_the_one_document_into_the_other(before: Any, after: Any) -> None:
    found = list(changes(before, after))
    result = before
    for path, old, new in found:
        assert old is not new
        result = put(result, path, new)
    assert result == after
    assert (found == []) == (before == after)


@given(LINES, st.integers(0, 30), st.integers(0, 400))
def test_the_kept_end_of_a_log_goes_on_where_what_was_shown_ended(
    lines: list[str], at: int, lost: int
) -> None:
    """Unless it begins only behind that: then all of it is shown, and that something is missing."""
    shown, log = "".join(lines[:at]), "".join(lines)
    kept = log[lost:]
    rest, meets = driver_logs.unseen_part(shown, kept)
    if lost <= len(shown) - driver_logs.LEAST_OVERLAP or lost == 0:
        assert (shown + rest, meets) == (log, True)
    elif shown and kept:
        assert (rest, meets) == (kept, False)


def test_a_kept_end_that_does_not_meet_is_shown_whole() -> None:
    assert driver_logs.unseen_part("a\nb\n", "x\ny\n") == ("x\ny\n", False)
    assert driver_logs.unseen_part("", "x\n") == ("x\n", True)
    long = "".join(f"{number}\n" for number in range(5000))
    assert driver_logs.unseen_part(long, long[-10_000:] + "new\n") == ("new\n", True)


@given(LOG, st.integers(0, 40))
def test_last_lines_are_the_last_lines(log: str, count: int) -> None:
    lines = last_lines(log, count).splitlines()
    assert lines == log.splitlines()[max(0, len(log.splitlines()) - count) :]
    assert last_lines(log, None) == log


def test_the_controller_is_called_alike_on_both_sides() -> None:
    assert OPERATOR == names.OPERATOR


@given(DOCUMENTS)
def test_no_document_of_a_server_makes_reading_it_fail(document: Any) -> None:
    """A newer operator may write what this version does not know."""
    from rl_platform.cli.job_account import account
    from rl_platform.cli.job_progress import ending, progress_block, progress_line

    for part in ("status", "spec"):
        job = SeenJob({"metadata": {"name": "x", "namespace": "y"}, part: document})
        for text in (account(job, [], NOW), progress_line(job, NOW), *progress_block(job, NOW), *ending(job)):
            assert text
    for name in ("conditions", "progress", "rollouts", "traceback", "checkpoint", "model"):
        job = SeenJob({"metadata": {"name": "x"}, "status": {name: document}})
        assert account(job, [], NOW)
        assert progress_line(job, NOW)
