"""The TrainingJob: what a user writes, and the one class that every part of the system reads it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rl_platform.spec.algorithms import AlgorithmSpec
from rl_platform.spec.environment import EnvironmentSpec
from rl_platform.spec.fields import Fault, ListOf, Seed, SpecModel
from rl_platform.spec.metadata import Metadata
from rl_platform.spec.model import ModelSpec, PolicySpec
from rl_platform.spec.resources import DriverSpec, LearnerSpec, ReplaySpec, RolloutsSpec
from rl_platform.spec.running import CheckpointSpec, EvaluationSpec, Schedules, StopSpec, TrackingSpec
from rl_platform.spec.runtime import RunPolicy, RuntimeSpec, Scheduling
from rl_platform.spec.section_faults import section_faults
from rl_platform.spec.status import TrainingJobStatus

API_VERSION = "rlplatform.io/v1alpha1"
KIND = "TrainingJob"


class TrainingJobSpec(SpecModel):
    """Everything about a training; every default is in the models below."""

    seed: Seed = Field(default=0, description="Of everything random.")
    environment: EnvironmentSpec = Field(description="What is acted in.")
    algorithm: AlgorithmSpec = Field(description="What learns: exactly one member.")
    model: ModelSpec = Field(default_factory=ModelSpec, description="The network of every policy.")
    policies: Annotated[ListOf[PolicySpec], Field(max_length=64)] = Field(
        default=(), description="Who acts with what; empty: one policy named default for every agent."
    )
    schedules: Schedules = Field(
        default_factory=Schedules, description="Fields of the algorithm that change."
    )
    rollouts: RolloutsSpec = Field(default_factory=RolloutsSpec, description="Who samples.")
    learner: LearnerSpec = Field(default_factory=LearnerSpec, description="Who learns.")
    driver: DriverSpec = Field(default_factory=DriverSpec, description="The process that runs the plan.")
    replay: ReplaySpec = Field(default_factory=ReplaySpec, description="Where replay buffers live.")
    runtime: RuntimeSpec = Field(default_factory=RuntimeSpec, description="What the pods run.")
    stop: StopSpec = Field(description="When the run is over.")
    evaluation: EvaluationSpec = Field(default_factory=EvaluationSpec, description="How good the policy is.")
    checkpoint: CheckpointSpec = Field(default_factory=CheckpointSpec, description="What survives.")
    tracking: TrackingSpec = Field(default_factory=TrackingSpec, description="What is recorded.")
    run_policy: RunPolicy = Field(default_factory=RunPolicy, description="Suspending, retries, deadlines.")
    scheduling: Scheduling = Field(default_factory=Scheduling, description="Queue and priority.")

    def faults(self) -> Iterator[Fault]:
        return section_faults(self)


class TrainingJob(SpecModel):
    """A training, from an environment to a registered policy."""

    api_version: Literal["rlplatform.io/v1alpha1"] = Field(
        default="rlplatform.io/v1alpha1", description=API_VERSION
    )
    kind: Literal["TrainingJob"] = Field(default="TrainingJob", description=KIND)
    metadata: Metadata = Field(description="Name and labels.")
    spec: TrainingJobSpec = Field(description="What is wanted.")
    status: TrainingJobStatus | None = Field(default=None, description="Written by the operator.")

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def experiment(self) -> str:
        """MLflow experiment: the named one, or the job's name."""
        return self.spec.tracking.experiment or self.name

    @property
    def registered_model(self) -> str:
        """MLflow registered model: the named one, or the job's name."""
        return self.spec.tracking.registered_model or self.name
