"""Who plays where a job has several policies: each registered as a model of its own, or all in one place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rl_platform.serving.bundle import DESCRIPTION
from rl_platform.serving.model_versions import MODELS
from rl_platform.spec.training_job import TrainingJob

__all__ = ["MODELS", "model_names", "players"]


def model_names(job: TrainingJob) -> list[str]:
    """What the models of a job are called: the job's, and with several policies one for each."""
    base = job.registered_model
    return [base, *(f"{base}-{policy.name}" for policy in job.spec.policies)]


def players(source: str, model: str, policies: Sequence[str]) -> dict[str, str]:
    """Policy → where its weights are. ``model``: what the job's models are called before the policy's name.

    Every policy is played by its own: ``models:/NAME@ALIAS`` and ``models:/NAME-POLICY@ALIAS`` name all that
    have the alias. Raises ValueError where the source is one policy and its partners are not known.
    """
    several = f"the job has the policies {', '.join(policies)}"
    if not source.startswith(MODELS):
        if (Path(source) / DESCRIPTION).is_file():
            raise ValueError(f"{source} is one policy and {several}: name the run's folder or a checkpoint")
        return dict.fromkeys(policies, source)
    name, at, alias = source.removeprefix(MODELS).partition("@")
    own = {policy: f"{model}-{policy}" for policy in policies}
    if at and name in (model, *own.values()):
        return {policy: f"{MODELS}{each}@{alias}" for policy, each in own.items()}
    raise ValueError(
        f"{source} is one policy at most and {several}, which play together: name them by an alias, as "
        f"{MODELS}{model}@champion does for {', '.join(own.values())}; or name a run's folder or a checkpoint"
    )
