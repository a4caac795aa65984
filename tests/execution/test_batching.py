"""Fragments that wait for the rest of their batch are saved whole, with what was counted for filters."""

from __future__ import annotations

import json

import numpy as np

from rl_platform.data.moments import Moments
from rl_platform.execution.batching import concat_batches
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind
from tests.trajectories import fragments, stream


def items() -> list[Item]:
    """Three fragments of 2 lanes and 5 rows, each with the moments of its rewards."""
    rng = np.random.default_rng(7)
    streams = [stream(rng, 15), stream(rng, 15)]
    return [
        Item(
            Kind.ROLLOUT,
            (each,),
            env_steps=10,
            agent_steps={"default": 10},
            sequence=each.sequence,
            info={"moments": [("default", {"obs": Moments.of(each.reward.reshape(-1, 1))})]},
        )
        for each in fragments(streams, [[5, 5, 5], [5, 5, 5]], rows=5, look_back=0)
    ]


def test_a_batch_that_a_restart_cut_has_all_fragments_and_all_moments() -> None:
    first, again = concat_batches(env_steps=30), concat_batches(env_steps=30)
    counters = Counters()
    for item in items()[:2]:
        assert not first.fn(item, counters)
    assert first.state is not None
    assert again.state is not None
    document, arrays = first.state.snapshot()
    again.state.restore(json.loads(json.dumps(document)), dict(arrays))
    (batch,) = again.fn(items()[2], counters)
    assert (batch.env_steps, batch.agent_steps) == (30, {"default": 30})
    assert [each.sequence for each in batch.data] == [0, 1, 2]
    counted = Moments(0, np.zeros(1), np.zeros(1))
    for policy, by_path in batch.info["moments"]:
        assert policy == "default"
        counted = counted.merge(by_path["obs"])
    rewards = np.concatenate([item.data[0].reward for item in items()])
    assert counted.count == 30
    np.testing.assert_allclose(counted.mean, [rewards.mean()], rtol=1e-6)


def test_a_checkpoint_of_an_earlier_version_has_no_moments() -> None:
    first, again = concat_batches(env_steps=20), concat_batches(env_steps=20)
    assert first.state is not None
    assert again.state is not None
    first.fn(items()[0], Counters())
    document, arrays = first.state.snapshot()
    for each in document["items"]:
        del each["moments"]
    again.state.restore(document, arrays)
    (batch,) = again.fn(items()[1], Counters())
    assert len(batch.info["moments"]) == 1
