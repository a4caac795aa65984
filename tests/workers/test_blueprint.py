"""A worker's environments have the spaces that the policies were made for."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from rl_platform.driver.building import assemble
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.workers.group import WorkerGroup
from tests.integration.probes import job


class Versioned(gymnasium.Env[Any, Any]):
    """Its spaces are those of the version that is installed."""

    size: ClassVar[int] = 3
    choices: ClassVar[int] = 2

    def __init__(self) -> None:
        self.observation_space = Box(-1, 1, (self.size,))
        self.action_space = Discrete(self.choices)

    def reset(self, **options: Any) -> Any:
        return np.zeros(self.size, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(self.size, np.float32), 1.0, True, False, {}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": 4}, r"obs is Leaf\(kind='box', shape=\(4,\).*, not Leaf\(kind='box', shape=\(3,\)"),
        ({"choices": 5}, r"action is ActionSpace\(.*\(5,\).*, not ActionSpace\(.*\(2,\)"),
    ],
)
def test_an_environment_of_other_spaces_is_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, int], sentence: str
) -> None:
    of = job({"entrypoint": f"{__name__}:Versioned"}, {"impala": {}}, rollouts={"replicas": 1})
    workers = assemble(of).workers
    assert isinstance(workers, WorkerGroup)
    workers.blueprint.build(0, print).close()
    for name, value in change.items():
        monkeypatch.setattr(Versioned, name, value)
    with pytest.raises(EnvironmentFault, match=rf"other spaces in this process .*policy default: {sentence}"):
        workers.blueprint.build(0, print)
