"""DD-PPO: rollout workers that learn from what they sampled, all together what PPO would learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.driver.building import Assembly, assemble
from rl_platform.driver.train import train
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.learner_at_workers import LearnerAtWorkers
from tests.integration.probes import job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_learner_replicas import RankKiller
from tests.integration.test_stored_behaviour import CARTPOLE, MEMORY

pytestmark = pytest.mark.usefixtures("ray_here")
FIELDS = {"learningRate": 1e-3, "batchSize": 256, "minibatchSize": 60, "epochs": 2}
ALIKE = {"entropyCoefficient": 0.01, "normalizeAdvantage": True}
TWO_WORKERS = {"rollouts": {"replicas": 2, "envsPerWorker": 2}}


def first_batch(name: str, **spec: Any) -> tuple[Assembly, np.ndarray]:
    """A plan and its weights after the first batch; its processes are gone."""
    made = assemble(job(CARTPOLE, {name: FIELDS | ALIKE}, **spec))
    made.start()
    try:
        made.workers.reset(0)
        for _ in made.plan:
            if made.plan.counters.updates:
                return made, made.run.learner.weights("default")
    finally:
        made.close()
    raise AssertionError("a plan never ends by itself")


@pytest.mark.parametrize("model", [{"hidden": [16]}, MEMORY], ids=["dense", "lstm"])
def test_two_workers_learn_what_ppo_learns_from_their_batches_together(model: dict[str, Any]) -> None:
    (together, weights), (one, expected) = (
        first_batch(name, model=model, **TWO_WORKERS) for name in ("ddppo", "ppo")
    )
    assert together.plan.counters == one.plan.counters
    assert together.plan.counters.updates >= 8
    np.testing.assert_allclose(weights, expected, atol=1e-5)
    assert np.abs(expected - one.policies["default"].layout.initial(0)).max() > 1e-3


def test_in_one_process_it_is_ppo() -> None:
    (_, weights), (_, expected) = (first_batch(name) for name in ("ddppo", "ppo"))
    np.testing.assert_array_equal(weights, expected)


def test_workers_join_and_leave_and_what_was_learned_stays() -> None:
    made = assemble(job(CARTPOLE, {"ddppo": FIELDS}, **TWO_WORKERS))
    made.start()
    learner, counters = made.run.learner, made.plan.counters
    assert isinstance(learner, LearnerAtWorkers)
    before = None
    try:
        made.workers.reset(0)
        for _ in made.plan:
            if counters.updates and before is None:
                before = learner.weights("default")
                made.plan.settle()
                assert [who.split()[0] for who in learner.regroup(1)] == ["1"]
                np.testing.assert_array_equal(learner.weights("default"), before)
            if counters.updates >= 16:
                break
        assert before is not None
        assert not np.array_equal(learner.weights("default"), before)
        assert not counters.dropped
    finally:
        made.close()


def exact() -> TrainingJob:
    return job(
        CARTPOLE,
        {"ddppo": FIELDS},
        stop={"envSteps": 3_000},
        checkpoint={"exact": True, "everyUpdates": 16},
        **TWO_WORKERS,
    )


def test_a_killed_worker_takes_all_back_to_the_last_checkpoint(tmp_path: Path) -> None:
    whole = train(exact(), tmp_path / "whole")
    killer = RankKiller("LearningProcess", 5)
    killed = train(exact(), tmp_path / "killed", on_report=killer)
    assert killed.weights_digest == whole.weights_digest
    assert (killed.env_steps, killed.updates) == (whole.env_steps, whole.updates)
    assert killed.learner_losses == 1
    assert len(killer.before) == len(killer.after) == 2
    assert not set(killer.before) & set(killer.after)
