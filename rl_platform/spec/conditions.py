"""Phases, condition types and reasons: the words that status, progress, results and logs share."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """One word for people and printer columns. Programs read conditions."""

    PENDING = "Pending"
    PROVISIONING = "Provisioning"
    TRAINING = "Training"
    RETRYING = "Retrying"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """Every condition of a TrainingJob. ``Succeeded`` sums up: True done, False failed, Unknown open."""

    SUCCEEDED = "Succeeded"
    SUSPENDED = "Suspended"
    CLUSTER_READY = "ClusterReady"
    TRAINING = "Training"
    DEGRADED = "Degraded"
    CHECKPOINT_AVAILABLE = "CheckpointAvailable"
    MODEL_REGISTERED = "ModelRegistered"


class StopReason(StrEnum):
    """Why a run came to its end without failing."""

    ENV_STEPS_REACHED = "EnvStepsReached"
    UPDATES_REACHED = "UpdatesReached"
    RETURN_REACHED = "ReturnReached"
    WALL_TIME_REACHED = "WallTimeReached"
    PLATEAU = "Plateau"
    DRAINED = "Drained"  # asked to stop; it goes on from its checkpoint


class FailureReason(StrEnum):
    """Why a run failed. BadConfiguration is never retried: it would fail again."""

    BAD_CONFIGURATION = "BadConfiguration"
    ENVIRONMENT_FAULT = "EnvironmentFault"
    NOT_A_NUMBER = "NotANumber"
    DIVERGED = "Diverged"
    NO_PROGRESS = "NoProgress"
    CHECKPOINT_FAILED = "CheckpointFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    RAY_LOST = "RayLost"
    INTERNAL_ERROR = "InternalError"
