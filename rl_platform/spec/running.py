"""How a run goes on and ends: stopping, schedules, evaluation, checkpoints, tracking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from rl_platform.spec import patterns
from rl_platform.spec.algorithm_fields import Coefficient, RateInTheEnd
from rl_platform.spec.fields import Fault, Return, Seconds, Seed, SpecModel, Steps, Text, Uri

CHECKPOINT_SECONDS = 60.0


class PlateauSpec(SpecModel):
    """Stop when the mean episode return has not grown enough within a window."""

    env_steps: Steps = Field(description="Length of the window.")
    minimum_improvement: Annotated[float, Field(ge=0, le=1e15)] = Field(
        default=0.0, description="Growth of the mean return that counts."
    )


class StopSpec(SpecModel):
    """The run ends when one of these holds after the learner has learned: for ppo and ddppo that is after
    batchSize env steps; the others look at episodeReturn and plateau only each 1,024 env steps. wallSeconds
    is looked at each second, or with the next fragment.
    """

    env_steps: Steps | None = Field(
        default=None, description="Env steps over all lanes and attempts; a fragment or batch is finished."
    )
    updates: Steps | None = Field(
        default=None,
        description="Updates of the learner; all that a batch or fragment gives cause for are made.",
    )
    episode_return: Return | None = Field(default=None, description="Mean return of the last 100 episodes.")
    wall_seconds: Seconds | None = Field(default=None, description="Time spent running, over all attempts.")
    plateau: PlateauSpec | None = Field(default=None, description="The return stands still.")

    def faults(self) -> Iterator[Fault]:
        if self.env_steps is None and self.updates is None and self.wall_seconds is None:
            yield Fault(
                (), "nothing bounds the run", "set envSteps, updates or wallSeconds, e.g. `envSteps: 150000`"
            )


class Schedule(SpecModel):
    """From the algorithm's own value to ``final``, by env steps."""

    kind: Literal["linear", "exponential", "constant"] = Field(
        default="linear", description="Shape of the way."
    )
    final: Coefficient = Field(default=0.0, description="Value at the end.")
    steps: Steps | None = Field(default=None, description="Env steps of the way; absent: stop.envSteps.")

    def faults(self) -> Iterator[Fault]:
        if self.kind == "exponential" and self.final == 0:
            yield Fault(
                ("final",), "an exponential schedule never reaches 0", "a number above 0, or kind linear"
            )


class RateSchedule(Schedule):
    """From the algorithm's own value to ``final``, by env steps; both are at most 10."""

    final: RateInTheEnd = Field(default=0.0, description="Value at the end.")


class Schedules(SpecModel):
    """Fields of the algorithm that change over time."""

    learning_rate: RateSchedule | None = Field(default=None, description="Of algorithm.*.learningRate.")
    clip_range: RateSchedule | None = Field(default=None, description="Of algorithm.*.clipRange.")
    entropy_coefficient: Schedule | None = Field(
        default=None, description="Of algorithm.*.entropyCoefficient."
    )

    def members(self) -> dict[str, Schedule]:
        """The schedules that are set, by the field's name in the manifest."""
        every = {
            "learningRate": self.learning_rate,
            "clipRange": self.clip_range,
            "entropyCoefficient": self.entropy_coefficient,
        }
        return {name: schedule for name, schedule in every.items() if schedule is not None}


class GateSpec(SpecModel):
    """What an evaluation must show before a model is promoted."""

    minimum_return: Return | None = Field(default=None, description="Mean return that is needed.")


class EvaluationSpec(SpecModel):
    """Episodes played without exploration, in environments of their own."""

    every_env_steps: Steps | None = Field(default=None, description="How often; absent: at the end only.")
    episodes: int = Field(default=20, ge=0, le=100_000, description="Episodes each time; 0: no evaluation.")
    seed: Seed = Field(default=0, description="Of the evaluation's environments.")
    gate: GateSpec = Field(default_factory=GateSpec, description="What promotion needs.")

    def faults(self) -> Iterator[Fault]:
        if self.episodes == 0 and self.gate.minimum_return is not None:
            yield Fault(("gate", "minimumReturn"), "cannot be met with episodes: 0", "evaluate some episodes")


def _every_seconds(checkpoint: dict[str, Any]) -> float | None:
    return None if checkpoint.get("exact") else CHECKPOINT_SECONDS


class CheckpointSpec(SpecModel):
    """Where, when and how many checkpoints."""

    exact: bool = Field(
        default=False,
        description="Resume bit for bit: environments that cannot save themselves are reseeded each time.",
    )
    every_seconds: Seconds | None = Field(
        default_factory=_every_seconds, description="Longest time between two; 60 unless exact."
    )
    every_updates: Steps | None = Field(default=None, description="Updates between two.")
    uri: Uri | None = Field(default=None, description="Any fsspec URI; absent: the run's folder.")
    keep: int = Field(default=3, ge=1, le=1000, description="How many of the newest stay.")
    restore_from: Uri | None = Field(
        default=None, description="A checkpoint or models:/NAME@ALIAS of the same model to begin with."
    )
    replay: bool = Field(default=True, description="Save the replay buffer too.")

    def faults(self) -> Iterator[Fault]:
        if self.exact and self.every_seconds is not None:
            reason = "the clock would decide where environments are reseeded"
            yield Fault(
                ("everySeconds",), f"exact is true: {reason}", "remove everySeconds and set everyUpdates"
            )
        if self.exact and self.every_updates is None:
            yield Fault(("everyUpdates",), "is not set, and exact is true", "a number of updates, such as 20")


class TrackingSpec(SpecModel):
    """MLflow. Names that are absent are the job's."""

    enabled: bool = Field(default=True, description="Record the run and register its model.")
    mlflow_uri: Annotated[str, Field(min_length=1, max_length=2048, pattern=patterns.TRACKING_URI)] | None = (
        Field(default=None, description="Tracking server; absent: sqlite in the run's folder.")
    )
    experiment: Text | None = Field(
        default=None, description="Experiment of the run; absent: the job's name."
    )
    registered_model: (
        Annotated[str, Field(min_length=1, max_length=256, pattern=patterns.MODEL_NAME)] | None
    ) = Field(default=None, description="Registered model; absent: the job's name.")
    alias: Annotated[str, Field(min_length=1, max_length=255, pattern=patterns.ALIAS)] = Field(
        default="champion", description="Alias of the best version."
    )
