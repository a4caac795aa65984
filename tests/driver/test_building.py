"""What one process cannot do is refused by name before an environment is made."""

from __future__ import annotations

from typing import Any

import pytest

from rl_platform.driver.building import BadConfiguration, refuse_unsupported
from rl_platform.spec.manifest import as_job


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"rollouts": {"envsPerWorker": 65_537}}, "rollouts.envsPerWorker above 65,536"),
    ],
)
def test_a_field_that_asks_for_too_much_is_named(spec: dict[str, Any], field: str) -> None:
    job = {
        "apiVersion": "rlplatform.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "large"},
        "spec": {
            "environment": {"id": "CartPole-v1"},
            "algorithm": {"ppo": {"batchSize": 131_074}},
            "stop": {"envSteps": 1_000_000},
            **spec,
        },
    }
    with pytest.raises(BadConfiguration, match=field):
        refuse_unsupported(as_job(job))
