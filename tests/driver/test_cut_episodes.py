"""Exact checkpoints that come too often for episodes to end are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.driver.train import train
from tests.driver.test_fixed_fields import job


@pytest.mark.parametrize(("every", "told"), [(1, True), (40, False)])
def test_a_person_is_told_once_where_no_episode_can_end(
    every: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A CartPole lives for 8 steps at least, the way from one checkpoint to the next is 4 or 160 of them."""
    algorithm = {"ppo": {"batchSize": 32, "minibatchSize": 32, "epochs": 1}}
    of = job(algorithm=algorithm, checkpoint={"exact": True, "everyUpdates": every}, stop={"envSteps": 4000})
    train(of, tmp_path / "run")
    said = [record.getMessage() for record in caplog.records if "no episode has ended" in record.getMessage()]
    assert len(said) == told
