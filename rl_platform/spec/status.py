"""``status`` of a TrainingJob: written by the operator alone, ignored on the way in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from rl_platform.spec import patterns
from rl_platform.spec.conditions import ConditionType, Phase
from rl_platform.spec.fields import ListOf, Message, ObjectName, SpecModel, Text, Uri

Count = Annotated[int, Field(ge=0, le=2**53)]
Digest = Annotated[str, Field(max_length=128, pattern=patterns.DIGEST)]


def _is_a_time(text: str) -> str:
    """A pattern alone lets a 13th month through."""
    try:
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(patterns.SENTENCES[patterns.TIME]) from None
    return text


Time = Annotated[str, Field(max_length=64, pattern=patterns.TIME), AfterValidator(_is_a_time)]


class Condition(SpecModel):
    """As every Kubernetes condition."""

    type: Annotated[ConditionType, Strict(False)] = Field(description="What the condition is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=patterns.REASON)] = Field(
        description="Why, in one CamelCase word."
    )
    message: Message = Field(default="", description="Why, in a sentence.")
    last_transition_time: Time = Field(description="When status changed last.")
    observed_generation: Count | None = Field(default=None, description="Which spec it speaks of.")


class Failures(SpecModel):
    """What the budgets of runPolicy count."""

    application: Count = Field(default=0, description="Failures of the job's own.")
    infrastructure: Count = Field(
        default=0, description="Lost heads, nodes, clusters; ends that nobody asked for."
    )


class ProgressStatus(SpecModel):
    """Where the run stands, totals over all attempts."""

    env_steps: Count = Field(default=0, description="Env steps.")
    updates: Count = Field(default=0, description="Updates.")
    episode_return_mean: float | None = Field(default=None, description="Of the last 100 episodes.")
    env_steps_per_second: float | None = Field(default=None, description="Lately.")
    eta_seconds: float | None = Field(default=None, description="Time left, estimated.")


class CheckpointStatus(SpecModel):
    """A checkpoint that is whole."""

    uri: Uri = Field(description="Where it is.")
    env_steps: Count = Field(description="Of the run when it was saved.")
    digest: Digest | None = Field(default=None, description="Of its manifest.")


class ModelStatus(SpecModel):
    """A registered model version."""

    name: Text = Field(description="Registered model.")
    version: Annotated[str, Field(min_length=1, max_length=32)] = Field(
        description="Version in the registry."
    )
    uri: Uri = Field(description="How to load it.")


class RolloutsStatus(SpecModel):
    """For the scale subresource."""

    replicas: Count = Field(default=0, description="Pods that exist.")
    ready: Count = Field(default=0, description="Pods that sample.")
    selector: Annotated[str, Field(max_length=1024)] = Field(default="", description="Labels of the pods.")
    draining_since: Time | None = Field(
        default=None, description="When pods that are too many began to wait for their workers to finish."
    )


class MlflowStatus(SpecModel):
    """Where the run is recorded."""

    uri: Uri | None = Field(default=None, description="Tracking server.")
    experiment: Text | None = Field(default=None, description="Experiment.")
    run_id: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Run of the latest attempt."
    )


class DriverState(StrEnum):
    """How far the driver of an attempt is, as the operator has written it down before acting on it."""

    WAITING = "Waiting"  # for the head, or for the time of a retry
    SUBMITTED = "Submitted"  # to the head in `head`: it may run
    ENDED = "Ended"  # it runs no more


class DriverOutcome(StrEnum):
    """How the driver of an attempt ended: what the next step depends on."""

    DONE = "Done"
    BAD_CONFIGURATION = "BadConfiguration"  # another attempt would fail the same way
    APPLICATION_FAILURE = "ApplicationFailure"
    LOST = "Lost"  # with its head, or out of reach
    DRAINED = "Drained"  # it has saved its state, or never started


class DriverAsked(StrEnum):
    """How a driver was asked to end: it is written down first, and remembered whatever clocks say later."""

    DRAIN = "Drain"  # checkpoint and stop
    STOP = "Stop"  # through Ray's Jobs API, because draining did not help


class DriverStatus(SpecModel):
    """The driver of the present attempt. Written before anything of the attempt is done."""

    submission_id: Text = Field(description="In the Ray Jobs API.")
    state: Annotated[DriverState, Strict(False)] = Field(description="How far it is.")
    head: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Uid of the head pod that it was submitted to."
    )
    outcome: Annotated[DriverOutcome, Strict(False)] | None = Field(default=None, description="How it ended.")
    created_time: Time | None = Field(default=None, description="When the attempt began.")
    start_time: Time | None = Field(default=None, description="When it was seen running.")
    end_time: Time | None = Field(default=None, description="When it was seen ended.")
    asked: Annotated[DriverAsked, Strict(False)] | None = Field(
        default=None, description="How it was asked to end, if it was."
    )
    asked_time: Time | None = Field(default=None, description="Since when; absent: taken back.")
    not_before: Time | None = Field(default=None, description="Back-off: when it may be submitted.")


class TrainingJobStatus(SpecModel):
    """The truth about a job."""

    observed_generation: Count | None = Field(default=None, description="Which spec this speaks of.")
    spec_digest: Digest | None = Field(default=None, description="Of the immutable part of the spec.")
    conditions: Annotated[ListOf[Condition], Field(max_length=16)] = Field(default=(), description="By type.")
    phase: Annotated[Phase, Strict(False)] | None = Field(
        default=None, description="For people; programs read conditions."
    )
    attempt: Count = Field(default=0, description="Grows with every new driver.")
    failures: Failures = Field(default_factory=Failures, description="What the budgets count.")
    driver: DriverStatus | None = Field(default=None, description="Of the present attempt.")
    active_seconds: float = Field(default=0.0, ge=0, le=1e12, description="Run by attempts that have ended.")
    start_time: Time | None = Field(default=None, description="When the operator took the job up.")
    completion_time: Time | None = Field(default=None, description="When the job succeeded or failed.")
    progress: ProgressStatus = Field(default_factory=ProgressStatus, description="Where the run stands.")
    checkpoint: CheckpointStatus | None = Field(default=None, description="The newest one.")
    model: ModelStatus | None = Field(default=None, description="The version registered last.")
    rollouts: RolloutsStatus = Field(default_factory=RolloutsStatus, description="Pods of rollout workers.")
    ray_cluster: ObjectName | None = Field(default=None, description="Name of the RayCluster.")
    mlflow: MlflowStatus | None = Field(default=None, description="Where the run is recorded.")
    traceback: Annotated[str, Field(max_length=2048)] | None = Field(
        default=None, description="End of the last failure's traceback."
    )
