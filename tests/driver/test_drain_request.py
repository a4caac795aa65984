"""The preStop hook: it asks, waits for the driver's end, and never holds up a pod without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rl_platform.driver import drain_request
from rl_platform.driver.http import DriverEndpoints
from rl_platform.spec.driver_protocol import PORT_ENV, TOKEN_FILE_ENV
from tests.driver.driver_process import Driver, free_port

MODULE = "rl_platform.driver.drain_request"


@pytest.fixture
def endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DriverEndpoints:
    (tmp_path / "token").write_text("secret\n")
    opened = DriverEndpoints(0, "secret", CollectorRegistry())
    monkeypatch.setenv(PORT_ENV, str(opened.port))
    monkeypatch.setenv(TOKEN_FILE_ENV, str(tmp_path / "token"))
    return opened


def test_a_driver_saves_a_checkpoint_and_is_waited_for(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    try:
        driver.wait_for_progress()
        hook = subprocess.Popen([sys.executable, "-m", MODULE], env=driver.environment)
        until = time.monotonic() + 30
        while not (driver.output / "result.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        result = json.loads((driver.output / "result.json").read_text())
        assert (result["state"], Path(result["checkpoint"]).is_dir()) == ("Drained", True)
        assert hook.poll() is None  # nobody has heard its last word yet
        assert driver.end() == 3
        assert hook.wait(10) == 0
    finally:
        driver.kill()


def test_it_asks_until_nobody_listens(endpoints: DriverEndpoints) -> None:
    threading.Timer(0.6, endpoints.close).start()
    began = time.monotonic()
    assert drain_request.main([]) == 0
    assert time.monotonic() - began > 0.5
    assert endpoints.drain_requested


def test_it_gives_up_in_time(endpoints: DriverEndpoints, capsys: pytest.CaptureFixture[str]) -> None:
    assert drain_request.main(["--seconds", "0.3"]) == 1
    assert "not ended in time" in capsys.readouterr().err
    endpoints.close()


def test_a_refused_token_is_told_without_showing_it(
    endpoints: DriverEndpoints, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("another\n")
    assert drain_request.main([]) == 2
    said = capsys.readouterr().err
    assert "refuses the token" in said
    assert "another" not in said
    assert not endpoints.drain_requested
    endpoints.close()


def test_without_a_driver_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PORT_ENV, str(free_port()))
    monkeypatch.delenv(TOKEN_FILE_ENV, raising=False)
    assert drain_request.main([]) == 0


def test_it_imports_nothing_but_the_standard_library() -> None:
    listing = f"import sys, {MODULE}; print(*sys.modules)"
    command = [sys.executable, "-c", listing]
    loaded = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True).stdout
    outside = {"pydantic", "yaml", "numpy", "torch", "prometheus_client"}
    assert not outside & {name.partition(".")[0] for name in loaded.split()}
