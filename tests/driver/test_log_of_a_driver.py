"""What a driver's log does not show: whoever may read a pod's log may not read its Secrets."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from rl_platform.driver.__main__ import _Lines
from rl_platform.spec.driver_protocol import JOB_FILE_ENV


def test_a_password_in_a_message_is_hidden(tmp_path: Path) -> None:
    environment = {**os.environ, JOB_FILE_ENV: str(tmp_path / "job?password=pa55word.yaml")}
    command = [sys.executable, "-m", "rl_platform.driver"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 2
    assert "ERROR rl_platform.driver: " in ran.stderr
    assert "job?password=[hidden]" in ran.stderr
    assert "pa55word" not in ran.stderr


def test_an_endless_message_is_shown_in_part() -> None:
    error = ValueError("begin" + "x" * 10**6 + "end")
    record = logging.LogRecord("log", logging.ERROR, "", 0, "it failed", (), (ValueError, error, None))
    shown = _Lines().format(record)
    assert len(shown) < 20_200
    assert shown.endswith("end")
