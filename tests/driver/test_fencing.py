"""A driver that was sent to another head pod leaves at once: a later attempt may be running there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.driver.__main__ import main
from rl_platform.spec.driver_protocol import HEAD_UID_ENV, JOB_FILE_ENV, POD_UID_ENV, ExitCode
from tests.driver.driver_process import Driver


@pytest.mark.parametrize(
    ("meant", "here", "code"),
    [
        ("old-head", "new-head", ExitCode.DRAINED),
        ("the-head", "the-head", ExitCode.BAD_CONFIGURATION),  # goes on, to find that it has no job
        ("the-head", None, ExitCode.BAD_CONFIGURATION),  # a cluster of an earlier operator
        (None, "the-head", ExitCode.BAD_CONFIGURATION),
        (None, None, ExitCode.BAD_CONFIGURATION),
    ],
)
def test_only_the_head_that_is_meant_runs_it(
    meant: str | None, here: str | None, code: ExitCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ((JOB_FILE_ENV, None), (HEAD_UID_ENV, meant), (POD_UID_ENV, here)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert main() == code


def test_it_says_so_in_one_line_and_touches_nothing(tmp_path: Path) -> None:
    driver = Driver(tmp_path, environment={HEAD_UID_ENV: "old-head", POD_UID_ENV: "new-head"})
    _, said = driver.process.communicate(timeout=60)
    assert driver.process.returncode == ExitCode.DRAINED
    assert len(said.splitlines()) == 1
    assert "old-head" in said
    assert "new-head" in said
    assert not driver.output.exists()
