"""A driver whose file is another job's than the one that its cluster was made for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rl_platform.spec.driver_protocol import JOB_FILE_ENV, SPEC_DIGEST_ENV, ExitCode
from tests.driver.driver_process import JOB


def test_it_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    told = {JOB_FILE_ENV: str(tmp_path / "job.yaml"), SPEC_DIGEST_ENV: "sha256:" + "0" * 64}
    command = [sys.executable, "-m", "rl_platform.driver"]
    ran = subprocess.run(
        command, env=os.environ | told, capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == ExitCode.BAD_CONFIGURATION
    assert "is not what this cluster was made for" in ran.stderr
