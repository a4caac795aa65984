"""The documents that operator and driver exchange survive the way through JSON, and nothing else gets in."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rl_platform.spec.conditions import FailureReason, StopReason
from rl_platform.spec.driver_protocol import (
    Desired,
    EdgeProgress,
    ExitCode,
    FailureProgress,
    Progress,
    ProgressState,
)
from rl_platform.spec.running import PlateauSpec, StopSpec
from rl_platform.spec.status import CheckpointStatus, ModelStatus


def test_a_full_progress_document_comes_back_equal_and_is_camel_case() -> None:
    progress = Progress(
        attempt=2,
        state=ProgressState.FAILED,
        env_steps=1024,
        agent_steps={"default": 1024},
        updates=16,
        episodes=3,
        episode_return_mean=-21.5,
        env_steps_per_second=5000.0,
        wall_seconds=1.5,
        eta_seconds=30.0,
        checkpoint=CheckpointStatus(uri="s3://bucket/1/7", env_steps=512, digest="sha256:ab"),
        model=ModelStatus(name="m", version="3", uri="models:/m/3"),
        edges=(EdgeProgress(name="learn/train_one_step", depth=2),),
        desired_generation=4,
        stop_reason=StopReason.PLATEAU,
        failure=FailureProgress(reason=FailureReason.NOT_A_NUMBER, message="value_loss is nan"),
    )
    text = progress.model_dump_json()
    assert Progress.model_validate_json(text) == progress
    assert Progress.model_validate(json.loads(text)) == progress
    document = json.loads(text)
    assert (document["envSteps"], document["state"], document["failure"]["reason"]) == (
        1024,
        "Failed",
        "NotANumber",
    )
    assert "wallSeconds" in document


def test_a_desired_state_carries_whole_stop_rules_and_refuses_what_it_does_not_know() -> None:
    stop = StopSpec(env_steps=5, plateau=PlateauSpec(env_steps=3, minimum_improvement=1.0))
    desired = Desired(generation=7, replicas=3, stop=stop)
    assert Desired.model_validate_json(desired.model_dump_json()) == desired
    for wrong in (
        '{"generation": -1}',
        '{"generation": "7"}',
        '{"generation": 7, "replica": 3}',
        '{"generation": 7, "stop": {}}',
        '{"replicas": 3}',
    ):
        with pytest.raises(ValidationError):
            Desired.model_validate_json(wrong)


def test_a_progress_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Progress(attempt=1, state=ProgressState.TRAINING, episode_return_mean=float("nan"))


def test_exit_codes_are_what_the_operator_was_told() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "APPLICATION_FAILURE": 1,
        "BAD_CONFIGURATION": 2,
        "DRAINED": 3,
    }
