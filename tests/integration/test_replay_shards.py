"""Replay in shards beside the rollout workers: the same plans, and every transition accounted for."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver.building import Assembly, BadConfiguration, assemble
from rl_platform.driver.saving_replay import NOT_SAVED, capture_replay, put_replay_back
from rl_platform.driver.train import train
from rl_platform.execution.fragments import UNFINISHED
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import read_reports
from rl_platform.tracking.report import Report
from rl_platform.workers.replay_shards import ON_THE_WAY, SHARD_LOST, ReplayShards
from tests.integration.probes import APEX, DQN, PPO, job
from tests.integration.ray_here import ray_here as ray_here
from tests.integration.test_ray_of_its_own import awaited, command, descendants
from tests.integration.test_remote_learner import LearnerKiller
from tests.integration.test_remote_workers import distributed

pytestmark = pytest.mark.usefixtures("ray_here")
COUNTER = "tests.integration.replay_counter:Counter"
TWO_WORKERS = {"rollouts": {"replicas": 2, "envsPerWorker": 3}}
LEARNER = {"learner": {"replicas": 1}}


def shards(count: int) -> dict[str, Any]:
    return {"replay": {"placement": "rollouts", "shards": count}}


def counted(entrypoint: str = COUNTER, **spec: Any) -> TrainingJob:
    """Ape-X over transitions of one step, so that each agent step is one."""
    apex = APEX | {"nStep": 1, "bufferSize": 4_000}
    return job({"entrypoint": entrypoint}, **({"algorithm": {"apex": apex}} | TWO_WORKERS | spec))


def run(made: Assembly, env_steps: int) -> None:
    """Until so many env steps, with all answers awaited."""
    for _ in made.plan:
        if made.plan.counters.env_steps >= env_steps:
            made.plan.settle()
            return


def in_shards(made: Assembly) -> list[np.ndarray]:
    """Own number and step of each transition [M, 2], by shard."""
    replay = made.run.replay
    assert isinstance(replay, ReplayShards)
    return [columns.get("obs", np.zeros((0, 2))) for _, columns in replay.snapshot("default")]


def test_a_single_shard_gives_bit_for_bit_what_a_buffer_in_the_driver_gives(tmp_path: Path) -> None:
    of = {"algorithm": {"dqn": DQN | {"bufferSize": 1000, "nStep": 3, "prioritizedReplay": {}}}}
    here = train(distributed("dqn", **of), tmp_path / "here")
    there = train(distributed("dqn", **of, **LEARNER, **shards(1)), tmp_path / "there")
    assert (there.env_steps, there.updates, there.dropped) == (here.env_steps, here.updates, here.dropped)
    assert there.dropped.keys() == {UNFINISHED}
    assert there.weights_digest == here.weights_digest


@pytest.mark.parametrize("capacity", [4_000, 600], ids=["all kept", "overwritten"])
def test_every_transition_is_in_one_shard_or_overwritten(capacity: int) -> None:
    made = assemble(counted(algorithm={"apex": APEX | {"nStep": 1, "bufferSize": capacity}}, **shards(2)))
    made.start()
    try:
        run(made, 2_000)
        counters, found = made.plan.counters, in_shards(made)
    finally:
        made.close()
    assert not counters.dropped
    assert counters.stored == counters.env_steps
    assert counters.updates * 4 == pytest.approx(counters.env_steps - 64, abs=48)
    sizes = [len(each) for each in found]
    assert min(sizes) > 0.8 * max(sizes)
    assert sum(sizes) == counters.stored - counters.overwritten
    steps: dict[int, list[int]] = {}
    for own, step in np.concatenate(found).astype(int).tolist():
        steps.setdefault(own, []).append(step)
    if counters.overwritten:  # perhaps all of a worker that was slower
        assert sum(sizes) == capacity
    else:
        assert len(steps) == 6
        for each in steps.values():  # a step is shown before it is taken
            assert sorted(each) == list(range(len(each)))


def test_neither_trajectories_nor_samples_pass_the_driver() -> None:
    """Ray knows where an object lies only if it is in an object store: what it sends along has no place."""
    from ray.experimental import get_object_locations

    made = assemble(counted(**shards(2)))
    replay = made.run.replay
    assert isinstance(replay, ReplayShards)
    made.start()
    try:
        run(made, 300)
        draw = replay.ask(8, 64, 0.4)
        assert draw is not None
        sample = replay.receive(draw)["default"]
        reports = [report for _, _, report in draw.asked]
        assert len(draw.parts) == 2
        # Who owns a part hears a moment later where it lies.
        awaited(lambda: all(it["node_ids"] for it in get_object_locations(draw.parts).values()), seconds=10)
        assert not any(it["node_ids"] for it in get_object_locations(reports).values())
        assert sample.fetch()["obs"].shape == (8, 64, 2)
    finally:
        made.close()


def shard_processes() -> list[int]:
    return [it for it in descendants(os.getpid()) if "ray::ReplayShard" in command(it)]


@pytest.mark.parametrize(("count", "elsewhere"), [(1, {}), (2, LEARNER)], ids=["the only one", "one of two"])
def test_a_killed_shard_comes_back_empty_and_what_was_in_it_is_told(
    count: int, elsewhere: dict[str, Any]
) -> None:
    made = assemble(counted(**elsewhere, **shards(count)))
    made.start()
    try:
        run(made, 2_000)
        os.kill(shard_processes()[0], signal.SIGKILL)
        run(made, 5_000)
        counters, found = made.plan.counters, in_shards(made)
    finally:
        made.close()
    dropped = dict(counters.dropped)
    assert 1_800 / count < dropped.pop(SHARD_LOST) < 2_500 / count
    assert counters.stored + dropped.pop(ON_THE_WAY, 0) == counters.env_steps
    assert not dropped
    assert sum(map(len, found)) == counters.stored - counters.overwritten - counters.dropped[SHARD_LOST]
    assert counters.updates * 4 == pytest.approx(counters.env_steps - 64, abs=48)
    awaited(lambda: not shard_processes())


def test_shards_are_refused_where_nothing_is_kept_in_them() -> None:
    of = job({"entrypoint": COUNTER}, {"ppo": PPO}, **TWO_WORKERS, **shards(1))
    with pytest.raises(BadConfiguration, match=r"algorithm\.ppo keeps no replay"):
        assemble(of)


def test_an_object_store_that_is_too_small_slows_a_run_and_ends_it_not() -> None:
    """A fragment has 6 MiB, a sample 32 MiB, of a store of 100 MiB; two fragments of each of two workers, two
    samples and what is learned from are asked for at once.
    """
    made = assemble(
        counted(
            "tests.integration.replay_counter:Large",
            algorithm={"apex": APEX | {"nStep": 1, "bufferSize": 200, "trainEvery": 6, "batchSize": 16}},
            model={"hidden": [4]},
            **LEARNER,
            **shards(2),
        )
    )
    made.start()
    try:
        run(made, 400)
        counters, found = made.plan.counters, in_shards(made)
    finally:
        made.close()
    assert not counters.dropped
    assert counters.updates * 6 >= counters.env_steps - 64 - 48
    assert sum(map(len, found)) == 200 == counters.stored - counters.overwritten


def test_a_checkpoint_goes_on_with_any_number_of_shards(tmp_path: Path) -> None:
    """Two, then three, then a buffer in the driver: no transition is lost or there twice."""
    own: dict[str, Any] = {"algorithm": {"apex": APEX | {"nStep": 1, "bufferSize": 20_000}}}
    for turn, replay in enumerate((shards(2), shards(3), {})):
        of = counted(**own, **replay, stop={"envSteps": 800 * (turn + 1)})
        result = train(of, tmp_path / "run", taking="resume" if turn else "new")
        assert result.env_steps >= 800 * (turn + 1)
        assert not result.dropped
        saved = load(resolve(str(tmp_path / "run")))
        groups = [name for name in saved.arrays if name.startswith("replay/")]
        assert len(groups) == (replay["replay"]["shards"] if replay else 1)
        assert sum(len(saved.arrays[name]["obs"]) for name in groups) == result.env_steps
        seen = np.concatenate([saved.arrays[name]["obs"] for name in groups])
        reward = np.concatenate([saved.arrays[name]["reward"] for name in groups])
        np.testing.assert_array_equal(seen[:, 1] + 1, reward)


def test_a_killed_learner_goes_back_with_the_shards(tmp_path: Path) -> None:
    """It had samples before it, and others were drawn; replay is again what it was at the checkpoint."""
    of = counted(stop={"envSteps": 4_000}, checkpoint={"everyUpdates": 300}, **LEARNER, **shards(2))
    result = train(of, tmp_path / "run", on_report=LearnerKiller(3))
    assert (result.state, result.dropped) == ("Succeeded", {})
    assert result.updates * 4 == pytest.approx(result.env_steps - 64, abs=96)
    saved = load(resolve(str(tmp_path / "run")))
    kept = [tree["obs"] for name, tree in saved.arrays.items() if name.startswith("replay/")]
    counters = saved.state["plan"]["counters"]
    assert counters["stored"] == result.env_steps
    assert sum(map(len, kept)) == result.env_steps - counters["overwritten"] >= 4_000 - 32
    reports = read_reports(tmp_path / "run" / "progress.jsonl")
    assert max(report.metrics.get("edge/feed/replay/depth", 0) for report in reports) >= 1


def test_a_checkpoint_without_replay_says_what_is_missing(tmp_path: Path) -> None:
    part = {**shards(2), "checkpoint": {"replay": False}}
    first = train(counted(stop={"envSteps": 600}, **part), tmp_path / "run")
    rest = train(counted(stop={"envSteps": 1_200}, **part), tmp_path / "run", taking="resume")
    assert rest.dropped == {NOT_SAVED: first.env_steps}
    assert rest.updates * 4 == pytest.approx(rest.env_steps - 64, abs=48)


class Massacre:
    """Kills learner, shards and workers at the reports with these numbers."""

    def __init__(self, *at: int) -> None:
        self.at, self.reports = at, 0

    def __call__(self, report: Report) -> None:
        self.reports += 1
        if self.reports in self.at:
            for victim in descendants(os.getpid()):
                if command(victim).startswith(("ray::Learner", "ray::Replay", "ray::Rollout")):
                    os.kill(victim, signal.SIGKILL)


def test_what_was_lost_before_a_run_went_back_is_not_of_the_timeline_that_counts(tmp_path: Path) -> None:
    """Twice back to the beginning, before any checkpoint, and on to the end."""
    of = counted(
        algorithm={"apex": APEX | {"nStep": 1, "bufferSize": 600}},
        stop={"envSteps": 3_000},
        checkpoint={"everyUpdates": 10**6},
        **LEARNER,
        **shards(2),
    )
    result = train(of, tmp_path / "run", on_report=Massacre(2, 4))
    assert (result.state, result.learner_losses) == ("Succeeded", 2)
    assert SHARD_LOST not in result.dropped
    saved = load(resolve(str(tmp_path / "run")))
    kept = sum(len(tree["obs"]) for name, tree in saved.arrays.items() if name.startswith("replay/"))
    counters = saved.state["plan"]["counters"]
    assert counters["stored"] + sum(result.dropped.values()) == result.env_steps
    assert kept == 600 == counters["stored"] - counters["overwritten"]
    assert result.agent_steps == {"default": result.env_steps}


def test_a_shard_that_nothing_is_awaited_of_is_missed_at_a_checkpoint_and_when_one_is_put_back() -> None:
    made = assemble(counted(**shards(2)))
    replay = made.run.replay
    assert isinstance(replay, ReplayShards)
    made.start()
    try:
        run(made, 1_000)
        saved, counters = capture_replay(made.run), made.plan.counters
        before = replay.size
        os.kill(shard_processes()[0], signal.SIGKILL)
        documents, _ = capture_replay(made.run)
        assert sum(it["size"] for it in documents["default"]["shards"]) == replay.size < before
        assert before - replay.size == replay.take_tally().dropped[SHARD_LOST]
        os.kill(shard_processes()[0], signal.SIGKILL)
        put_replay_back(made.run, counters, *saved)
        assert replay.size == before == counters.stored - counters.overwritten
        os.kill(shard_processes()[0], signal.SIGKILL)
        put_replay_back(made.run, counters, {}, {})
        assert counters.stored - counters.overwritten - counters.dropped[NOT_SAVED] == replay.size < before
        assert replay.take_tally().dropped == {}
    finally:
        made.close()
