"""The TrainingJob: what a user writes, and the one class that every part of the system reads it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rl_platform.spec.algorithms import PPO, AlgorithmSpec, Custom
from rl_platform.spec.environment import EnvironmentSpec
from rl_platform.spec.fields import Fault, ListOf, Seed, SpecModel
from rl_platform.spec.metadata import Metadata
from rl_platform.spec.model import ModelSpec, PolicySpec
from rl_platform.spec.resources import DriverSpec, LearnerSpec, ReplaySpec, RolloutsSpec
from rl_platform.spec.running import CheckpointSpec, EvaluationSpec, Schedules, StopSpec, TrackingSpec
from rl_platform.spec.runtime import RunPolicy, RuntimeSpec, Scheduling
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
        yield from self._sampling_faults()
        yield from self._policy_faults()
        yield from self._schedule_faults()

    def _sampling_faults(self) -> Iterator[Fault]:
        name, config = self.algorithm.selected
        rollouts = self.rollouts
        if isinstance(config, PPO) and config.batch_size < rollouts.num_envs:
            yield Fault(
                ("algorithm", name, "batchSize"),
                f"{config.batch_size} env steps are fewer than the {rollouts.num_envs} environments, "
                f"which take one each ({rollouts.workers} workers of {rollouts.envs_per_worker})",
                f"{rollouts.num_envs} or more, or fewer envsPerWorker",
            )
        recurrent, most = self.model.recurrent, getattr(config, "minibatch_size", None)
        if most is not None and recurrent.kind != "none" and recurrent.sequence_length > most:
            yield Fault(
                ("model", "recurrent", "sequenceLength"),
                f"{recurrent.sequence_length} is more than algorithm.{name}.minibatchSize, which is {most}",
                "a minibatch must hold a sequence",
            )
        total = self.stop.env_steps
        starts = getattr(config, "learning_starts", 0)
        if total is not None and starts > total:
            yield Fault(
                ("algorithm", name, "learningStarts"),
                f"{starts} env steps are more than stop.envSteps, which is {total}",
                "nothing would be learned: lower learningStarts or raise stop.envSteps",
            )
        if self.replay.placement == "rollouts" and rollouts.replicas == 0:
            yield Fault(
                ("replay", "placement"), "is rollouts, and there are none", "driver, or rollouts.replicas"
            )

    def _policy_faults(self) -> Iterator[Fault]:
        names = [policy.name for policy in self.policies]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Fault(("policies", index, "name"), f"{name!r} is given twice", "every name once")
        if names and not any(policy.trained for policy in self.policies):
            yield Fault(("policies",), "none of them is trained", "trained: true for at least one")

    def _schedule_faults(self) -> Iterator[Fault]:
        name, config = self.algorithm.selected
        for field, schedule in self.schedules.members().items():
            known = type(config).model_fields
            if not isinstance(config, Custom) and field not in {info.alias for info in known.values()}:
                yield Fault(("schedules", field), f"algorithm.{name} has no such field", "remove it")
            if schedule.steps is None and self.stop.env_steps is None and schedule.kind != "constant":
                hint = "set steps here, or stop.envSteps"
                yield Fault(("schedules", field, "steps"), "is not set, and neither is stop.envSteps", hint)


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
