from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.tracking import spool
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report
from rl_platform.tracking.spool import Position, last_report, position_in, thinned, unsent


def at(step: int, wall: float | None = None, **metrics: float) -> Report:
    return Report(step, wall_seconds=float(step) if wall is None else wall, metrics=metrics)


def steps(reports: list[Report]) -> list[int]:
    return [report.env_steps for report in reports]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "progress.jsonl"


def test_new_reports_are_read_once(path: Path) -> None:
    position = Position()
    assert unsent(path, position) == ([], position)
    with ProgressLog(path) as log:
        for first in (0, 10):
            for step in range(first, first + 5):
                log.append(at(step))
            reports, position = unsent(path, position)
            assert steps(reports) == list(range(first, first + 5))
    assert unsent(path, position) == ([], position)


def test_a_torn_line_is_left_until_it_is_whole(path: Path) -> None:
    line = at(1).to_line() + "\n"
    path.write_text(at(0).to_line() + "\n" + line[:10])
    reports, position = unsent(path, Position())
    assert steps(reports) == [0]
    assert last_report(path) == at(0)
    with open(path, "a") as file:
        file.write(line[10:])
    assert steps(unsent(path, position)[0]) == [1]
    assert last_report(path) == at(1)


def test_a_damaged_line_is_passed_over(path: Path) -> None:
    path.write_text(at(0).to_line() + "\nrubbish\n" + at(1).to_line() + "\n")
    assert steps(unsent(path, Position())[0]) == [0, 1]
    with open(path, "a") as file:
        file.write("rubbish\n")
    assert last_report(path) == at(1)


def test_a_file_larger_than_a_block_is_read_in_several(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "READ_BYTES", 500)
    with ProgressLog(path) as log:
        for step in range(50):
            log.append(at(step))
    seen: list[int] = []
    position = Position()
    while True:
        reports, behind = unsent(path, position)
        if behind == position:
            break
        seen, position = seen + steps(reports), behind
    assert seen == list(range(50))
    assert position_in(path, position.to_json()) == position


@given(st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_a_saved_position_holds_until_the_file_was_cut_before_it(
    tmp_path_factory: pytest.TempPathFactory, sent: int, kept: int, regrown: bool
) -> None:
    path = tmp_path_factory.mktemp("spool") / "progress.jsonl"
    with ProgressLog(path) as log:
        for step in range(sent):
            log.append(at(step))
        _, position = unsent(path, Position())
        cut = log.truncate_after(kept - 1)
        if regrown:
            for step in range(sent):
                log.append(at(step, wall=step + 0.5))
    expected = position if cut == 0 else Position()
    assert position_in(path, position.to_json()) == expected


@pytest.mark.parametrize("document", [{}, {"offset": 5}, {"other": 1}])
def test_a_position_that_means_nothing_here_is_the_start(path: Path, document: dict[str, int]) -> None:
    path.write_text(at(0).to_line() + "\n")
    assert position_in(path, document) == Position()


def test_a_short_run_is_sent_whole_and_a_long_one_by_some_thousand_points() -> None:
    ten_seconds = [at(step, wall=step * 0.025) for step in range(400)]
    assert thinned(ten_seconds, 0.0)[0] == ten_seconds
    ten_hours = [at(step, wall=step * 0.5) for step in range(72_000)]
    assert 2_000 < len(thinned(ten_hours, 0.0)[0]) < 6_000


def test_thinning_is_the_same_however_the_reports_arrive() -> None:
    reports = [at(step, wall=60 + step / 37) for step in range(500)]
    at_once, _ = thinned(reports, 0.0)
    one_by_one, due_at = [], 0.0
    for report in reports:
        picked, due_at = thinned([report], due_at)
        one_by_one += picked
    assert one_by_one == at_once
    assert len(at_once) < 100


def test_evaluations_are_never_thinned_away() -> None:
    reports = [
        at(1, wall=100.0),
        Report(2, wall_seconds=100.01, metrics={"evaluation/return_mean": 1.0}),
        at(3, wall=100.02),
    ]
    assert steps(thinned(reports, 0.0)[0]) == [1, 2]
