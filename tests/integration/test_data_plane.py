"""Arrays stay behind references: what passes the driver is little beside what is sampled."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.train import train
from rl_platform.workers.group import WorkerGroup
from tests.integration.driver_traffic import Traffic
from tests.integration.probes import job
from tests.integration.ray_here import ray_here as ray_here

pytestmark = pytest.mark.usefixtures("ray_here")
FIRST, LAST = 3, 9
MOST = 0.01
MOST_BYTES = 450
"""Of requests and reports, for a fragment and the update that it makes."""


def ppo(ticks: int) -> dict[str, Any]:
    steps = 2 * 8 * ticks
    return {"ppo": {"batchSize": steps, "minibatchSize": steps // 2, "epochs": 1}}


def impala(ticks: int) -> dict[str, Any]:
    return {"impala": {"batchSize": 2 * 8 * ticks, "fragmentLength": ticks}}


def traffic(
    algorithm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **spec: Any
) -> Traffic:
    seen = Traffic().hook(monkeypatch)
    common = {
        "rollouts": {"replicas": 2, "envsPerWorker": 8},
        "learner": {"replicas": 1},
        "model": {"hidden": [64, 64]},
        "evaluation": {"episodes": 0},
    }
    (settings,) = algorithm.values()
    steps = (LAST + 2) * max(settings["batchSize"], 1024)
    of = job({"id": "CartPole-v1"}, algorithm, **(common | {"stop": {"envSteps": steps}} | spec))
    train(of, tmp_path / "run", on_report=seen.between(FIRST, LAST))
    assert seen.fragments >= LAST - FIRST
    sys.stdout.write(f"\n{next(iter(algorithm))}: {seen.told()}\n")
    return seen


@pytest.mark.parametrize("plan", [ppo, impala])
@pytest.mark.parametrize("ticks", [512, 128], ids=["fragments", "small fragments"])
def test_less_than_a_hundredth_of_what_is_sampled_passes_the_driver(
    plan: Any, ticks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = traffic(plan(ticks), tmp_path, monkeypatch)
    assert seen.share < MOST, seen.told()


@pytest.mark.parametrize("plan", [ppo, impala])
def test_tiny_fragments_cost_the_driver_a_request_each_and_none_of_their_data(
    plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = traffic(plan(16), tmp_path, monkeypatch)
    assert seen.sampled / seen.fragments > 10 * MOST_BYTES
    assert sum(seen.by_value.values()) / seen.fragments < MOST_BYTES, seen.told()


def test_trajectories_that_pass_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        WorkerGroup, "data_stays", property(lambda self: False, lambda self, value: None), raising=False
    )
    seen = traffic(ppo(128), tmp_path, monkeypatch)
    assert seen.share > 1.9, seen.told()
