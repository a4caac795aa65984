"""The end of a run that succeeded: its best policy becomes a model version, and perhaps the champion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rl_platform.checkpoints.checkpoint import CheckpointRef
from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.data.tree import Tree
from rl_platform.driver.attempt import Attempt
from rl_platform.driver.building import environments
from rl_platform.driver.evaluation import evaluate
from rl_platform.driver.policy_description import describe
from rl_platform.driver.result import RegisteredModel, Result, versions
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.models.actors import Actor
from rl_platform.serving.actors import bundle_actor
from rl_platform.serving.bundle import BundleError, open_bundle, write_bundle
from rl_platform.serving.reaching import why_away
from rl_platform.serving.registry import CHALLENGER, Champion, RegistryError, promotion
from rl_platform.serving.registry_process import RegistryProcess, RegistryStopped
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import IMAGE_ENV, JOB_UID_ENV
from rl_platform.spec.tracking_uri import without_password
from rl_platform.tracking.mlflow_tracker import MlflowTracker

CHAMPIONS = "champions.partial"  # where the present ones are while they are compared with


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be registered: weights, knobs and moments of filters by policy, and how good they are."""

    ref: CheckpointRef
    weights: Mapping[str, np.ndarray]
    knobs: Mapping[str, Tree]
    moments: Mapping[str, Tree]
    return_mean: float | None


def promote(
    attempt: Attempt,
    result: Result,
    tracker: MlflowTracker,
    registry: RegistryProcess,
    phase: Callable[[str], None],
) -> RegisteredModel | None:
    """Register every trained policy; the first one is returned. A registry that fails is told, not raised.

    ``phase`` is told what is waited for. Raises RegistryStopped where the run is asked to stop meanwhile.
    """
    candidate = _best(attempt, result)
    names = {policy: _model_name(attempt, policy) for policy in attempt.assembly.run.trained}
    run_id = None
    try:
        _reach(attempt, tracker.tracking_uri)
        run_id = _mlflow_run(attempt, tracker, phase)
        champions = _champions(attempt, names, tracker.tracking_uri, registry)
        alias, why = _decide(attempt, candidate, champions)
        models = [
            _register(
                attempt, candidate, policy, name, champions.get(policy), alias, why, tracker, registry, run_id
            )
            for policy, name in names.items()
        ]
    except (RegistryError, BundleError) as error:
        attempt.telemetry.server_away = run_id is None
        result.message = without_password(
            f"the model was not registered: {error}; {_how_to_register_later(attempt)}"
        )
        return None
    finally:
        shutil.rmtree(attempt.folder.path / CHAMPIONS, ignore_errors=True)
    others = ", ".join(model.uri for model in models[1:])
    return replace(models[0], message=f"{models[0].message}; also {others}") if others else models[0]


def _how_to_register_later(attempt: Attempt) -> str:
    if not os.environ.get(JOB_UID_ENV):
        return f"register it later with rlp flush {attempt.folder.path}"
    if attempt.job.spec.checkpoint.uri is None:
        return "its checkpoint goes with the head pod, as checkpoint.uri is not set: train it again later"
    return (
        "once MLflow answers, delete the TrainingJob and apply it again: it takes up its last checkpoint, "
        "which stays, trains no more, and registers the model"
    )


def _reach(attempt: Attempt, server: str) -> None:
    """MLflow itself would try an absent server for minutes. Raises RegistryError, RegistryStopped."""
    away = why_away(server, attempt.asked_to_stop)
    if attempt.asked_to_stop():
        raise RegistryStopped
    if away is not None:
        raise RegistryError(away)


def _mlflow_run(attempt: Attempt, tracker: MlflowTracker, phase: Callable[[str], None]) -> str:
    """A model without its run would lie outside of its experiment and could not be traced: better none yet.

    Raises RegistryError, RegistryStopped.
    """
    run_id = attempt.telemetry.run_id(attempt.asked_to_stop, phase)
    if attempt.asked_to_stop():
        raise RegistryStopped
    if run_id is None:
        why = tracker.warning() or f"MLflow at {tracker.shown_uri} did not have the run in time"
        raise RegistryError(why)
    return run_id


def _best(attempt: Attempt, result: Result) -> Candidate:
    """The last checkpoint, or an earlier one that did better in the same evaluation."""
    assert attempt.last is not None
    run = attempt.assembly.run
    mean = result.evaluation.return_mean if result.evaluation is not None else None
    best = attempt.progress.best_return
    pinned = attempt.store.pinned().get("best")
    if mean is not None and best is not None and best > mean and pinned is not None:
        try:
            arrays = attempt.store.load(pinned, groups=["policy/", "filters/"]).arrays
        except CheckpointError as error:
            result.message = f"the best checkpoint cannot be read, the last one is registered: {error}"
        else:
            return Candidate(
                pinned,
                {name: arrays[f"policy/{name}/weights"]["flat"] for name in run.trained},
                {name: arrays.get(f"policy/{name}/knobs", {}) for name in run.trained},
                {name: arrays.get(f"filters/{name}", {}) for name in run.trained},
                best,
            )
    published = {name: run.published[name] for name in run.trained}
    return Candidate(
        attempt.last,
        {name: each.weights for name, each in published.items()},
        {name: dict(each.knobs) for name, each in published.items()},
        {name: run.filters[name].snapshot() if name in run.filters else {} for name in published},
        mean,
    )


def _champions(
    attempt: Attempt, names: Mapping[str, str], tracking_uri: str, registry: RegistryProcess
) -> dict[str, Champion]:
    alias = attempt.job.spec.tracking.alias
    found: dict[str, Champion] = {}
    for policy, name in names.items():
        folder = attempt.folder.path / CHAMPIONS / policy
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        champion = registry.current_champion(tracking_uri, name, str(folder), alias)
        if champion is not None:
            found[policy] = champion
    return found


def _decide(attempt: Attempt, candidate: Candidate, champions: Mapping[str, Champion]) -> tuple[str, str]:
    """Alias and reason, for all policies alike: they were evaluated together."""
    first = next(iter(champions.values()), None)
    mean, problem = None, None
    if first is not None and candidate.return_mean is not None:
        mean, problem = _champions_return(attempt, champions)
    alias, why = promotion(candidate.return_mean, first, mean, problem, attempt.job.spec.tracking.alias)
    gate = attempt.job.spec.evaluation.gate.minimum_return
    reached = candidate.return_mean
    if gate is not None and (reached is None or reached < gate):
        return CHALLENGER, f"evaluation.gate.minimumReturn is {gate:g}, the evaluation gave {reached}"
    return alias, why


def _champions_return(attempt: Attempt, champions: Mapping[str, Champion]) -> tuple[float | None, str | None]:
    """What the present champions reach in the evaluation that the candidate had."""
    spec, actors = attempt.job.spec.evaluation, attempt.assembly.actors()
    try:
        for policy, champion in champions.items():
            if champion.bundle is None:
                return None, champion.problem
            actor: Actor = bundle_actor(open_bundle(champion.bundle))
            if actor.spaces != attempt.assembly.policies[policy].spaces:
                return None, f"version {champion.version} was trained for other spaces"
            actors[policy] = actor
        count = min(spec.episodes, attempt.job.spec.rollouts.envs_per_worker)
        adapter = environments(attempt.job, count, attempt.watchdog)
        try:
            stop = attempt.asked_to_stop
            played = evaluate(adapter, actors, spec.episodes, spec.seed, attempt.watchdog, stop)
            if played is None:
                raise RegistryStopped
            return played.return_mean, None
        finally:
            adapter.close()
    except (BundleError, EnvironmentFault, ValueError) as error:
        return None, str(error)


def _register(
    attempt: Attempt,
    candidate: Candidate,
    policy: str,
    name: str,
    champion: Champion | None,
    alias: str,
    why: str,
    tracker: MlflowTracker,
    registry: RegistryProcess,
    run_id: str,
) -> RegisteredModel:
    folder = attempt.folder.bundle / policy
    definition = attempt.assembly.policies[policy]
    recipe = describe(attempt.assembly, policy)
    weights, knobs = candidate.weights[policy], candidate.knobs[policy]
    write_bundle(folder, definition, weights, knobs, recipe, candidate.moments[policy])
    metrics = {} if candidate.return_mean is None else {"evaluation/return_mean": candidate.return_mean}
    version = registry.register(
        tracker.tracking_uri,
        name,
        str(folder.resolve()),
        alias=alias,
        champion_alias=attempt.job.spec.tracking.alias,
        job_uid=tracker.job_uid,
        attempt=attempt.store.attempt,
        checkpoint_digest=candidate.ref.digest,
        policy=policy,
        run_id=run_id,
        env_steps=candidate.ref.env_steps,
        metrics=metrics,
        tags=_lineage(attempt, candidate),
        champion=champion.version if champion is not None else None,
    )
    uri = f"models:/{name}@{version.alias}" if version.alias else version.uri
    return RegisteredModel(name, version.version, uri, version.alias, version.message or why)


def _lineage(attempt: Attempt, candidate: Candidate) -> dict[str, str]:
    known = {f"rlplatform.version.{name}": version for name, version in versions().items()}
    tags = {name: version for name, version in known.items() if version is not None}
    image = os.environ.get(IMAGE_ENV)
    if image:
        tags["rlplatform.image"] = image
    return {
        **tags,
        "rlplatform.job": attempt.job.metadata.name,
        "rlplatform.seed": str(attempt.job.spec.seed),
        "rlplatform.spec.digest": spec_digest(attempt.job.spec),
        "rlplatform.checkpoint": candidate.ref.uri,
    }


def _model_name(attempt: Attempt, policy: str) -> str:
    """The job's model; with several policies one for each."""
    name = attempt.job.registered_model
    return name if len(attempt.assembly.policies) == 1 else f"{name}-{policy}"
