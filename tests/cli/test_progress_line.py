from __future__ import annotations

import io
import time

import pytest

from rl_platform.cli import progress_line
from rl_platform.cli.progress_line import ProgressLine
from rl_platform.spec.running import StopSpec


def test_a_phase_that_takes_long_is_said_again_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "LINE_SECONDS", 0.05)
    written = io.StringIO()
    line = ProgressLine(StopSpec(env_steps=1), written)
    line.phase("registering")
    until = time.monotonic() + 60.0
    while written.getvalue().count("registering ... 0 s") < 2 and time.monotonic() < until:
        time.sleep(0.01)
    line.phase("training")
    before = written.getvalue()
    assert before.startswith("registering ...\nregistering ... 0 s\nregistering ... 0 s\n")
    time.sleep(0.2)
    assert written.getvalue() == before
    line.close()
