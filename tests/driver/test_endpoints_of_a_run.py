"""The protocol between operator and driver, on a real run: progress, metrics, desired, drain,
acknowledgement.
"""

from __future__ import annotations

import json
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_platform.spec.driver_protocol import ExitCode
from tests.driver.driver_process import Driver


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    running = Driver(tmp_path)
    yield running
    running.kill()


def test_drain_checkpoints_and_ends_as_drained_once_the_end_was_acknowledged(driver: Driver) -> None:
    first = driver.wait_for_progress()
    assert first.attempt == 1
    assert first.env_steps > 0
    assert first.edges[0].name == "ppo/rollouts"
    metrics = driver.ask("/metrics", token=None)
    assert "rlp_env_steps_total" in metrics
    assert 'edge="ppo/train_one_step"' in metrics
    with pytest.raises(urllib.error.HTTPError) as refused:
        driver.ask("/progress", token="wrong")
    assert refused.value.code == 403
    driver.ask("/drain", "POST")
    began = time.monotonic()
    assert driver.end() == ExitCode.DRAINED
    assert time.monotonic() - began < 25  # it did not linger for the whole 30 s
    result = json.loads((driver.output / "result.json").read_text())
    assert result["state"] == "Drained"
    assert Path(result["checkpoint"]).is_dir()


def test_stop_rules_that_are_put_while_it_runs_replace_those_of_the_job(driver: Driver) -> None:
    now = driver.wait_for_progress()
    stop = {"envSteps": now.env_steps + 5000}
    driver.ask("/desired", "PUT", {"generation": 7, "stop": stop})
    assert driver.end() == ExitCode.DONE
    result = json.loads((driver.output / "result.json").read_text())
    assert result["reason"] == "EnvStepsReached"
    assert result["envSteps"] < 100_000_000
