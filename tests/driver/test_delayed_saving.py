"""A store that is away for a while delays checkpoints; training goes on, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef
from rl_platform.checkpoints.errors import CheckpointError, StaleAttempt
from rl_platform.checkpoints.reading import load, resolve
from rl_platform.checkpoints.store import CheckpointStore
from rl_platform.driver import delayed_saving
from rl_platform.driver.delayed_saving import DelayedSaving
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import PPO, job

Take = Callable[[int], bool]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Callable[[Take], list[int]]:
    """A store that takes the n-th checkpoint where ``take`` says so; gives the env steps of every try."""

    def away_when(take: Take) -> list[int]:
        tries: list[int] = []
        save = CheckpointStore.save

        def now_and_then(
            self: CheckpointStore, checkpoint: Checkpoint, env_steps: int, updates: int
        ) -> CheckpointRef:
            tries.append(env_steps)
            if not take(len(tries)):
                raise CheckpointError("the store is away")
            return save(self, checkpoint, env_steps, updates)

        monkeypatch.setattr(CheckpointStore, "save", now_and_then)
        monkeypatch.setattr(delayed_saving, "FIRST_PAUSE_SECONDS", 0.0)
        return tries

    return away_when


def small(exact: bool = False, **changes: Any) -> TrainingJob:
    """Ten iterations of 64 env steps and 4 updates, with a checkpoint after every second of them."""
    algorithm = {"ppo": PPO | {"batchSize": 64, "minibatchSize": 64, "epochs": 4}}
    groups = {"rollouts": {"envsPerWorker": 2}, "stop": {"envSteps": 640}}
    return job(
        {"id": "CartPole-v1"}, algorithm, checkpoint={"everyUpdates": 8, "exact": exact}, **groups | changes
    )


def test_a_delayed_checkpoint_is_tried_again_before_the_next_is_due(
    store: Callable[[Take], list[int]], tmp_path: Path
) -> None:
    tries = store(lambda number: number != 2)
    train(small(), tmp_path / "run")
    assert tries == [128, 256, 320, 384, 512, 640]


def test_an_exact_run_comes_to_the_same_weights_as_one_whose_store_was_there(
    store: Callable[[Take], list[int]], tmp_path: Path
) -> None:
    whole = train(small(exact=True), tmp_path / "whole")
    tries = store(lambda number: number not in (2, 5))
    gappy = train(small(exact=True), tmp_path / "gappy")
    assert tries == [128, 256, 384, 512, 640, 640]
    assert gappy.weights_digest == whole.weights_digest
    assert load(resolve(str(tmp_path / "gappy"))).state["progress"]["checkpoints"] == 5


def test_a_store_that_stays_away_fails_the_run_at_its_end(
    store: Callable[[Take], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_saving, "LAST_SECONDS", -1.0)
    tries = store(lambda number: number == 1)
    with pytest.raises(TrainingFailed, match="CheckpointFailed: the store is away"):
        train(small(), tmp_path / "run")
    assert tries[-1] == 640
    assert resolve(str(tmp_path / "run")).env_steps == 128


def test_it_is_not_tried_again_before_a_pause_is_over() -> None:
    said: list[str] = []
    saving = DelayedSaving(said.append)

    def away() -> None:
        raise CheckpointError("away")

    for _ in range(5):
        assert not saving.scheduled(away)
    assert (saving.pending, saving.due) == (True, False)
    assert saving.scheduled(lambda: None)
    assert (saving.pending, saving.due) == (False, False)
    assert said == ["away"] * 5


def test_what_fails_again_and_again_is_logged_once_a_minute_with_how_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("rl_platform.driver.delayed_saving.time.monotonic", lambda: now)

    def full() -> None:
        raise CheckpointError("no space left")

    heard: list[str] = []
    saving = DelayedSaving(heard.append)
    for _ in range(50):  # 150 s
        saving.scheduled(full)
        now += 3.0
    assert [record.getMessage() for record in caplog.records] == [
        "a checkpoint is delayed, the next try is in 5 s: no space left",
        "a checkpoint is delayed (21 tries have failed), the next try is in 60 s: no space left",
        "a checkpoint is delayed (41 tries have failed), the next try is in 60 s: no space left",
    ]
    assert len(heard) == 50, "the status says it at once, and as long as it is so"
    saving.scheduled(lambda: None)
    now += 60.0
    saving.scheduled(full)
    assert "(" not in caplog.records[-1].getMessage(), "the count begins anew"


def test_a_run_that_another_one_has_taken_over_does_not_go_on() -> None:
    def stale() -> None:
        raise StaleAttempt("attempt 2 has taken over")

    saving = DelayedSaving(lambda why: None)
    with pytest.raises(StaleAttempt):
        saving.scheduled(stale)
    with pytest.raises(StaleAttempt):
        saving.last(stale)
