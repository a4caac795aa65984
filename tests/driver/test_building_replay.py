from __future__ import annotations

import pytest

from rl_platform.driver.building_replay import shard_bytes
from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.replay_draws import Proportional
from tests.integration.probes import DQN, job, trained


@pytest.mark.parametrize("environment", ["Masked", "PaysMatch"])
def test_the_memory_of_a_full_buffer_is_known_from_the_spaces(environment: str) -> None:
    dqn = DQN | {"bufferSize": 500, "prioritizedReplay": {}, "trainEvery": 1000}
    made = trained(job(environment, {"dqn": dqn}), 700)
    assert isinstance(made.run.replay, dict)
    buffer: ReplayBuffer = made.run.replay["default"]
    assert isinstance(buffer.drawing, Proportional)
    there = buffer.nbytes + buffer.drawing.tree.nodes.nbytes + buffer.drawing.serials.nbytes
    assert shard_bytes(made.policies["default"].spaces, 500, buffer.drawing) == there
