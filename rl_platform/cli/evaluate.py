"""``rlp evaluate``: greedy episodes with a run's last checkpoint, any checkpoint, or a registered model."""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic.alias_generators import to_camel

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.cli.errors import Refused, failed, leave, load_job, say
from rl_platform.cli.live_line import LiveLine
from rl_platform.cli.players import MODELS, model_names, players
from rl_platform.driver.building import BadConfiguration, environments
from rl_platform.driver.evaluation import evaluate as play
from rl_platform.driver.result import Evaluation
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor
from rl_platform.serving.loading import EXPECTED, PolicyNotFoundError, load_policy
from rl_platform.serving.registry import RegistryError
from rl_platform.serving.trained_job import manifest_of_model
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import own_store

WRONG_INPUT = (BadConfiguration, PolicyNotFoundError, RegistryError, CheckpointError, ValueError)


def evaluate(arguments: argparse.Namespace) -> int:
    """Prints mean, deviation and range of the returns."""
    try:
        result = _played(arguments)
    except Refused:
        return int(ExitCode.BAD_CONFIGURATION)
    except WRONG_INPUT as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION, error)
    except EnvironmentFault as error:
        return failed(str(error), cause=error)
    if arguments.json:
        names = result.__dataclass_fields__
        print(json.dumps({to_camel(name): getattr(result, name) for name in names}))
    else:
        print(
            f"return {result.return_mean:.2f} ± {result.return_std:.2f} (min {result.return_min:.2f}, max "
            f"{result.return_max:.2f}) over {result.episodes} greedy episodes of {result.length_mean:.1f} "
            f"steps, seed {result.seed}"
        )
    return int(ExitCode.DONE)


def _played(arguments: argparse.Namespace) -> Evaluation:
    job, run = _job(arguments)
    line = LiveLine()
    line.due()  # what is over at once shows nothing
    watchdog = Watchdog(job.spec.environment.step_timeout_seconds, leave)
    adapter = environments(job, min(arguments.episodes, job.spec.rollouts.envs_per_worker), watchdog)
    try:
        actors = _actors(arguments, job, run, list(adapter.lanes))
        for policy, lanes in adapter.lanes.items():
            if actors[policy].spaces != lanes.spaces:
                raise ValueError(
                    f"policy {policy} of {arguments.source} was trained for other spaces than "
                    f"those of {adapter.name}"
                )
        show = partial(_show, line, arguments.episodes)
        result = play(adapter, actors, arguments.episodes, arguments.seed, watchdog, on_tick=show)
    finally:
        line.clear()
        adapter.close()
    assert result is not None  # nobody asks it to stop
    return result


def _show(line: LiveLine, episodes: int, ended: int) -> None:
    if line.due():
        line.write(f"{ended:,} of {episodes:,} episodes")


def _actors(
    arguments: argparse.Namespace, job: TrainingJob, run: Path | None, policies: list[str]
) -> dict[str, Actor]:
    """One actor per policy; where there is only one, whatever name it was trained under."""
    registry = arguments.tracking_uri
    if registry is None and not os.environ.get("MLFLOW_TRACKING_URI"):
        place = run or Path("runs") / job.metadata.name
        registry = own_store(place) if (place / "mlflow.db").is_file() else None
    if len(policies) == 1:
        return {policies[0]: load_policy(arguments.source, tracking_uri=registry).actor}
    found = players(arguments.source, job.registered_model, policies)
    if arguments.source.startswith(MODELS):
        say("playing " + ", ".join(f"{policy}: {uri}" for policy, uri in found.items()))
    return {
        policy: load_policy(uri, tracking_uri=registry, policy=policy).actor for policy, uri in found.items()
    }


def _job(arguments: argparse.Namespace) -> tuple[TrainingJob, Path | None]:
    """The job whose environment is played, and its run's folder where the source lies in one."""
    if arguments.manifest:
        return load_job(arguments.manifest), None
    source = arguments.source
    if source.startswith(MODELS):
        return _job_of_model(source, arguments.tracking_uri)
    path = Path(source.removeprefix("file://")).resolve()
    for place in [path, *path.parents][:4]:
        if (place / "spec.yaml").is_file():
            return load_job(str(place / "spec.yaml")), place
    if "://" not in source and not path.exists():
        raise PolicyNotFoundError(f"{source} does not exist: expected {EXPECTED}")
    raise _unknown(source)


def _job_of_model(source: str, registry: str | None) -> tuple[TrainingJob, Path | None]:
    """Of the run called as the model is, where it lies here; else of the run that made it, in MLflow.

    A model of several may have its policy's name behind that of the run.
    """
    name = source.removeprefix(MODELS).partition("@")[0].partition("/")[0]
    parts = name.split("-")
    for place in (Path("runs") / "-".join(parts[:length]) for length in range(len(parts), 0, -1)):
        if (place / "spec.yaml").is_file():
            job = load_job(str(place / "spec.yaml"))
            if name in (place.name, *model_names(job)):
                return job, place
    with TemporaryDirectory(prefix="rlp-job-") as folder:
        manifest = manifest_of_model(source, folder, registry)
        if manifest is None:
            raise _unknown(source)
        return load_job(str(manifest)), None


def _unknown(source: str) -> ValueError:
    return ValueError(
        f"cannot tell which environment {source} was trained in: name its job with --manifest FILE"
    )
