"""``restoreFrom``: begin with the weights of another run, of a checkpoint or of a registered model."""

from __future__ import annotations

from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.reading import load, resolve
from rl_platform.data.tree import Tree
from rl_platform.driver.building import Assembly, BadConfiguration
from rl_platform.driver.policy_description import refuse_other_policies
from rl_platform.models.filters import RETURN, PolicyFilters
from rl_platform.serving.bundle import open_bundle
from rl_platform.serving.loading import PolicyNotFoundError, registry_of
from rl_platform.serving.registry import RegistryError, download
from rl_platform.spec.training_job import TrainingJob


def restore_policies(job: TrainingJob, assembly: Assembly) -> None:
    """Put ``checkpoint.restoreFrom`` into every policy and ``policies[].restoreFrom`` into its own.

    Registered models are looked for on the job's own MLflow server, where it names one.
    Raises BadConfiguration where a source is missing or belongs to other spaces or another network.
    """
    everything, registry = job.spec.checkpoint.restore_from, job.spec.tracking.mlflow_uri
    if everything:
        _restore(everything, registry, assembly, list(assembly.policies), "spec.checkpoint.restoreFrom")
    for index, policy in enumerate(job.spec.policies):
        if policy.restore_from and policy.name in assembly.policies:
            field = f"spec.policies[{index}].restoreFrom"
            _restore(policy.restore_from, registry, assembly, [policy.name], field)


def _restore(uri: str, registry: str | None, assembly: Assembly, policies: list[str], field: str) -> None:
    registered = uri.startswith("models:/")
    try:
        checkpoint = _registered(uri, registry, policies) if registered else load(resolve(uri))
    except (CheckpointError, PolicyNotFoundError, RegistryError, ValueError, OSError) as error:
        raise BadConfiguration(f"{field}: {error}") from error
    try:
        _take(checkpoint, assembly, policies)
    except (ValueError, KeyError) as error:
        raise BadConfiguration(f"{field}: {uri} does not fit this job: {error}") from error


def _take(checkpoint: Checkpoint, assembly: Assembly, policies: list[str]) -> None:
    """Only the weights and filters of these policies; counters, optimizer and lanes start afresh."""
    run = assembly.run
    refuse_other_policies(checkpoint.state["policies"], assembly, policies)
    for name in policies:
        run.learner.load_weights(name, checkpoint.arrays[f"policy/{name}/weights"]["flat"])
        if name in run.filters:
            _take_filters(run.filters[name], checkpoint.arrays.get(f"filters/{name}", {}))
    run.published.clear()
    run.publish(0, 0)


def _take_filters(filters: PolicyFilters, saved: Tree) -> None:
    """That of the return may begin anew, because it is no part of what the policy sees.

    Raises ValueError where those of observations are missing.
    """
    if filters.observations and not saved:
        raise ValueError(
            "it has no moments of spec.model.observationFilter, as models had none that an earlier version "
            "registered: name the run's folder or a checkpoint of it instead, or train the model again"
        )
    anew = {path: leaf for path, leaf in filters.snapshot().items() if path.startswith(f"{RETURN}/")}
    filters.restore({**anew, **saved})


def _registered(uri: str, registry: str | None, policies: list[str]) -> Checkpoint:
    """A registered model in the shape of a checkpoint, for each of the policies."""
    bundle = open_bundle(download(registry or registry_of(uri), uri))
    flat, moments = bundle.weights()[0], bundle.moments()
    arrays = {f"policy/{name}/weights": {"flat": flat} for name in policies}
    arrays |= {f"filters/{name}": moments for name in policies}
    return Checkpoint({"policies": dict.fromkeys(policies, bundle.description)}, arrays)
