"""What ``rlp plot`` says of paths that it cannot read from or write to."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.cli.plot import plot
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with ProgressLog(tmp_path / "run" / "progress.jsonl") as log:
        log.append(Report(1, metrics={"rollout/episode_return_mean": 1.0}))
    return tmp_path / "run"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (
            "pictures",
            "pictures is a folder; name the picture in it, such as {at}/pictures/learning-curves.png",
        ),
        ("q.jpg", "q.jpg ends in .jpg, and the picture is a PNG: name it {at}/q.png"),
        ("q", "q has no ending, and the picture is a PNG: name it {at}/q.png"),
        ("run.v2", "run.v2 ends in .v2, and the picture is a PNG: name it {at}/run.png"),
        ("file/q.png", "file/q.png cannot be written: its path leads through a file; name another"),
    ],
)
def test_an_output_that_cannot_be_the_picture_is_named(
    output: str, problem: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent / "pictures").mkdir()
    (run.parent / "file").touch()
    before = names(run.parent)
    assert plot([str(run)], str(run.parent / output)) == ExitCode.BAD_CONFIGURATION
    said = capsys.readouterr().err
    assert said.startswith("error: --output: ")
    assert problem.format(at=run.parent) in said
    assert "Errno" not in said
    assert names(run.parent) == before
    assert names(run.parent / "pictures") == set()


def test_a_folder_that_has_the_name_of_a_picture_is_one(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent / "q.png").mkdir()
    assert plot([str(run)], str(run.parent / "q.png")) == ExitCode.BAD_CONFIGURATION
    assert "q.png is a folder" in capsys.readouterr().err


def test_capital_letters_are_the_same_ending(run: Path) -> None:
    assert plot([str(run)], str(run.parent / "Q.PNG")) == ExitCode.DONE
    assert (run.parent / "Q.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_a_run_whose_folder_is_taken_is_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "learning-curves.png").mkdir()
    assert plot([str(run)], None) == ExitCode.BAD_CONFIGURATION
    said = capsys.readouterr().err
    assert f"{run}/learning-curves.png is a folder; name another picture with --output" in said
    assert names(run) == {"progress.jsonl", "learning-curves.png"}


def test_a_file_is_no_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot([str(run / "progress.jsonl")], None) == ExitCode.BAD_CONFIGURATION
    said = capsys.readouterr().err
    assert "progress.jsonl is not the folder of a run: it is a file" in said
    assert "Errno" not in said
