from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.tracking.progress_log import ProgressLog, ProgressLogError, read_reports
from rl_platform.tracking.report import Report


def steps(path: Path) -> list[int]:
    return [report.env_steps for report in read_reports(path)]


def test_a_reader_sees_each_report_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "progress.jsonl"
    with ProgressLog(path) as log:
        for step in range(3):
            log.append(Report(step))
            assert steps(path) == list(range(step + 1))


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    for step in range(3):
        with ProgressLog(path) as log:
            log.append(Report(step))
    assert steps(path) == [0, 1, 2]


@given(st.integers(0, 400))
def test_a_file_cut_at_any_byte_keeps_its_whole_lines_and_takes_more(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "progress.jsonl"
    lines = [Report(step, {"default": step}).to_line().encode() + b"\n" for step in range(4)]
    whole = b"".join(lines)
    path.write_bytes(whole[: min(cut, len(whole))])
    kept = path.read_bytes().count(b"\n")
    assert steps(path) == list(range(kept))
    with ProgressLog(path) as log:
        log.append(Report(77))
    assert steps(path) == [*range(kept), 77]


def test_a_torn_line_longer_than_a_read_block_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_bytes(Report(1).to_line().encode() + b"\n" + b"x" * 200_000)
    ProgressLog(path).close()
    assert steps(path) == [1]


@pytest.mark.parametrize(
    ("after", "kept"), [(-1, []), (0, [0]), (15, [0, 10]), (20, [0, 10, 20, 20]), (99, [0, 10, 20, 20, 30])]
)
def test_reports_beyond_a_checkpoint_are_forgotten(tmp_path: Path, after: int, kept: list[int]) -> None:
    path = tmp_path / "progress.jsonl"
    with ProgressLog(path) as log:
        for step in (0, 10, 20, 20, 30):
            log.append(Report(step))
        assert log.truncate_after(after) == 5 - len(kept)
        assert steps(path) == kept
        log.append(Report(after))
    assert steps(path) == [*kept, after]


def test_a_damaged_line_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    lines = [Report(1).to_line().encode(), b"rubbish", Report(2).to_line().encode()]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(ValueError, match=r"progress\.jsonl, line 2: not a report"):
        list(read_reports(path))


@pytest.mark.parametrize("last", [b'{"env_st', b'{"env_st\n', b"\0\0\0\n", b"rubbish\n{"])
def test_what_a_crash_has_made_of_the_last_line_is_passed_over(tmp_path: Path, last: bytes) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_bytes(Report(1).to_line().encode() + b"\n" + last)
    assert steps(path) == [1]


def test_a_full_disk_is_said_and_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with ProgressLog(path) as log:
            log.append(Report(1))
            log.append(Report(2))
            whole = path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (whole + 10, limits[1]))
            with pytest.raises(ProgressLogError, match=r"cannot write .*progress\.jsonl"):
                log.append(Report(3))
            assert path.stat().st_size == whole
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            log.append(Report(4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert steps(path) == [1, 2, 4]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProgressLogError, match=r"cannot write .*file/progress\.jsonl"):
        ProgressLog(tmp_path / "file" / "progress.jsonl")


def test_a_killed_writer_loses_no_line_that_it_had_appended(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    code = (
        "import sys, itertools\n"
        "from rl_platform.tracking.progress_log import ProgressLog\n"
        "from rl_platform.tracking.report import Report\n"
        "log = ProgressLog(sys.argv[1])\n"
        "for step in itertools.count():\n"
        "    log.append(Report(step)); print(step, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout
    said = [int(process.stdout.readline()) for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    said += [int(line) for line in process.stdout.read().splitlines() if line]
    process.wait()
    ProgressLog(path).close()
    assert steps(path)[: len(said)] == said


def test_appending_costs_less_than_fifty_microseconds(tmp_path: Path) -> None:
    metrics = {f"train/default/loss_{index}": index / 7 for index in range(20)}
    with ProgressLog(tmp_path / "progress.jsonl") as log:
        report = Report(1, {"default": 1}, 1, 1, 1.0, metrics)
        times = []
        for _ in range(2000):
            start = time.perf_counter()
            log.append(report)
            times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 2] < 50e-6
