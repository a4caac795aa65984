"""How a Ray of a run's own starts: in several tries, and where no signal to the run's group reaches it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray._private import services

from rl_platform.workers import ray_start

LATE = "The current node timed out during startup.\nThis could happen because of many things."


def test_a_ray_that_does_not_start_says_how_often_it_was_tried_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def late(**options: object) -> None:
        tries.append(options)
        raise Exception(LATE)

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(os, "getloadavg", lambda: (97.25, 0.0, 0.0))
    with pytest.raises(ray_start.RayNotStarted) as told:
        ray_start.start(tmp_path, None, 1)
    assert len(tries) == ray_start.STARTS
    message = str(told.value)
    assert re.search(rf"in {ray_start.STARTS} tries and \d+ s\b", message)
    assert f"a load of 97.2 on {os.cpu_count()} cores: run it again when less else is running" in message
    assert message.endswith("Ray says: The current node timed out during startup.")


def test_what_ray_refuses_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []

    def refusing(**options: object) -> None:
        tries.append(options)
        raise ValueError("too small")

    monkeypatch.setattr(ray, "init", refusing)
    with pytest.raises(ValueError, match="too small"):
        ray_start.start(tmp_path, 1, 1)
    assert len(tries) == 1


def test_its_processes_are_in_sessions_of_their_own_and_only_while_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def leads_a_session() -> bool:
        program = "import os; print(os.getpgid(0) == os.getsid(0) == os.getpid())"
        with file.open("w") as out:
            started = services.start_ray_process(
                [sys.executable, "-c", program], "test", fate_share=False, stdout_file=out
            )
        started.process.wait()
        return file.read_text() == "True\n"

    file = tmp_path / "said"
    monkeypatch.setattr(ray, "init", lambda **options: seen.append(leads_a_session()))
    ray_start.start(tmp_path, None, 1)
    assert seen == [True]
    assert not leads_a_session()
    assert issubclass(services.ConsolePopen, subprocess.Popen)
