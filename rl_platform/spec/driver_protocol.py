"""What operator and driver agree on: paths, environment variables, documents, exit codes.

One port. ``/metrics`` is open; the rest asks for ``Authorization: Bearer <the job's token>``, or the same in
`TOKEN_HEADER`: through the API server's proxy ``Authorization`` belongs to the API server.
A finished driver lingers for `LINGER_SECONDS` until its final progress was read with ``?ack=<attempt>``.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated

from pydantic import Field, Strict

from rl_platform.spec.conditions import FailureReason, StopReason
from rl_platform.spec.driver_places import ACK_QUERY as ACK_QUERY
from rl_platform.spec.driver_places import ATTEMPT_ENV as ATTEMPT_ENV
from rl_platform.spec.driver_places import DESIRED_ENV as DESIRED_ENV
from rl_platform.spec.driver_places import DESIRED_PATH as DESIRED_PATH
from rl_platform.spec.driver_places import DRAIN_PATH as DRAIN_PATH
from rl_platform.spec.driver_places import HEAD_UID_ENV as HEAD_UID_ENV
from rl_platform.spec.driver_places import HOST_ENV as HOST_ENV
from rl_platform.spec.driver_places import IMAGE_ENV as IMAGE_ENV
from rl_platform.spec.driver_places import JOB_FILE_ENV as JOB_FILE_ENV
from rl_platform.spec.driver_places import JOB_UID_ENV as JOB_UID_ENV
from rl_platform.spec.driver_places import METRICS_PATH as METRICS_PATH
from rl_platform.spec.driver_places import OUTPUT_ENV as OUTPUT_ENV
from rl_platform.spec.driver_places import POD_UID_ENV as POD_UID_ENV
from rl_platform.spec.driver_places import PORT_ENV as PORT_ENV
from rl_platform.spec.driver_places import PROGRESS_PATH as PROGRESS_PATH
from rl_platform.spec.driver_places import SPEC_DIGEST_ENV as SPEC_DIGEST_ENV
from rl_platform.spec.driver_places import TOKEN_FILE_ENV as TOKEN_FILE_ENV
from rl_platform.spec.driver_places import TOKEN_HEADER as TOKEN_HEADER
from rl_platform.spec.fields import ListOf, Message, SpecModel, Text
from rl_platform.spec.resources import Replicas
from rl_platform.spec.running import StopSpec
from rl_platform.spec.status import CheckpointStatus, Count, ModelStatus

LINGER_SECONDS = 30.0


class ExitCode(IntEnum):
    """How a driver ends. Anything else is an application failure too."""

    DONE = 0
    APPLICATION_FAILURE = 1
    BAD_CONFIGURATION = 2  # never retried
    DRAINED = 3  # goes on from its checkpoint


class ProgressState(StrEnum):
    """What a driver is at."""

    STARTING = "Starting"
    TRAINING = "Training"
    DRAINING = "Draining"
    SUCCEEDED = "Succeeded"
    DRAINED = "Drained"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        """Nothing follows it: what the driver says then is its last word."""
        return self in (ProgressState.SUCCEEDED, ProgressState.DRAINED, ProgressState.FAILED)


class EdgeProgress(SpecModel):
    """One operator of the plan, as seen from what flows into it."""

    name: Text = Field(description="Name of the operator, such as learn/train_one_step.")
    depth: Count = Field(default=0, description="Items that wait.")
    age_seconds: float = Field(default=0.0, ge=0, description="Of the oldest of them.")
    items_per_second: float = Field(default=0.0, ge=0, description="Lately.")


class FailureProgress(SpecModel):
    """Why the driver gives up."""

    reason: Annotated[FailureReason, Strict(False)] = Field(description="In one word.")
    message: Message = Field(default="", description="In a sentence, or the end of a traceback.")


class Progress(SpecModel):
    """GET /progress. Totals are over all attempts."""

    attempt: int = Field(ge=0, le=10**9, description="Of this driver.")
    state: Annotated[ProgressState, Strict(False)] = Field(description="What the driver is at.")
    env_steps: Count = Field(default=0, description="Env steps.")
    agent_steps: Annotated[dict[Text, Count], Field(max_length=64)] = Field(
        default_factory=dict, description="Agent steps by policy."
    )
    updates: Count = Field(default=0, description="Updates.")
    episodes: Count = Field(default=0, description="Finished episodes.")
    episode_return_mean: float | None = Field(default=None, description="Of the last 100 episodes.")
    env_steps_per_second: float | None = Field(default=None, ge=0, description="Lately.")
    wall_seconds: float = Field(default=0.0, ge=0, description="Spent running.")
    eta_seconds: float | None = Field(default=None, ge=0, description="Until stop, estimated.")
    workers_lost: Count = Field(default=0, description="Rollout workers that were replaced.")
    dropped: Annotated[dict[Text, Count], Field(max_length=64)] = Field(
        default_factory=dict, description="Agent steps that were not learned from, by reason."
    )
    rollout_pods: Annotated[ListOf[Text], Field(max_length=10_000)] | None = Field(
        default=None,
        description="Pods with rollout workers, or with what is still to be learned from; "
        "absent until the number of workers was changed.",
    )
    checkpoint: CheckpointStatus | None = Field(default=None, description="The newest whole one.")
    checkpoint_fault: Message | None = Field(
        default=None, description="Why the one that is due is not saved yet; it is tried again."
    )
    model_fault: Message | None = Field(
        default=None, description="Why the model of a run that succeeded is not registered, and what to do."
    )
    model: ModelStatus | None = Field(default=None, description="The version registered last.")
    mlflow_run_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Of this attempt, once MLflow has answered."
    )
    edges: Annotated[ListOf[EdgeProgress], Field(max_length=128)] = Field(
        default=(), description="Of the plan."
    )
    desired_generation: Count | None = Field(
        default=None, description="Of the desired state that is acted on."
    )
    stop_reason: Annotated[StopReason, Strict(False)] | None = Field(
        default=None, description="Why the run ended well."
    )
    failure: FailureProgress | None = Field(default=None, description="Why it did not.")


class Desired(SpecModel):
    """PUT /desired: what may change under a running driver. The highest generation wins."""

    generation: Count = Field(description="metadata.generation of the job.")
    replicas: Replicas | None = Field(default=None, description="Pods of rollout workers; absent: as before.")
    stop: StopSpec | None = Field(default=None, description="Replaces spec.stop; absent: as before.")


class DrainAnswer(SpecModel):
    """POST /drain: checkpoint and stop; `Progress.state` tells how far it is."""

    accepted: bool = Field(description="The driver will stop.")
