"""What a killed driver's Ray has left is ended, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_platform.workers import ray_reaper


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ray" / "session").mkdir(parents=True)
    return tmp_path / "ray"


@pytest.fixture
def reaper(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-I", "-S", ray_reaper.__file__, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def sleeper(*arguments: str, log: Path | None = None, **marks: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", "-c", "print(flush=True); import time; time.sleep(99)", *arguments]
    with open(log or os.devnull, "w") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **marks},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_those_of_its_ray_end_with_the_driver_even_if_they_are_stopped(
    folder: Path, reaper: subprocess.Popen[bytes]
) -> None:
    by_argument = sleeper(f"--session-dir={folder}/session")
    by_variable = sleeper(**{ray_reaper.FOLDER_ENV: str(folder)})
    by_file = sleeper(log=folder / "session" / "raylet.err")
    others = [
        sleeper(f"--session-dir={folder}2/session"),
        sleeper(**{ray_reaper.FOLDER_ENV: f"{folder}2"}),
        sleeper(log=folder / "session" / "driver.log"),
    ]
    try:
        by_argument.send_signal(signal.SIGSTOP)
        assert reaper.poll() is None
        assert by_variable.poll() is None
        reaper.communicate(timeout=30)
        for each in (by_argument, by_variable, by_file):
            assert each.wait(30) == -signal.SIGKILL
        assert all(each.poll() is None for each in others)
        assert not folder.exists()
        assert folder.parent.exists()
    finally:
        for each in (by_argument, by_variable, by_file, *others):
            each.kill()
            each.wait()
            assert each.stdout is not None
            each.stdout.close()


@pytest.mark.parametrize(
    ("said", "told"), [(b"", ray_reaper.LEFT), (ray_reaper.CLOSED, "")], ids=["gone", "closed"]
)
def test_a_driver_that_is_gone_without_a_word_is_told_of(folder: Path, said: bytes, told: str) -> None:
    command = [sys.executable, "-I", "-S", ray_reaper.__file__, str(folder)]
    ran = subprocess.run(command, input=said, stderr=subprocess.PIPE, check=True, timeout=30)
    assert ran.stderr.decode() == told
