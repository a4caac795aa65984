"""``rlp evaluate``: greedy episodes with a run's last checkpoint, any checkpoint, or a registered model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pydantic.alias_generators import to_camel

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.cli.errors import Refused, failed, load_job
from rl_platform.driver.building import BadConfiguration, environments
from rl_platform.driver.evaluation import evaluate as play
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.models.actors import Actor
from rl_platform.serving.loading import PolicyNotFoundError, load_policy
from rl_platform.serving.registry import RegistryError
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.training_job import TrainingJob


def evaluate(arguments: argparse.Namespace) -> int:
    """Prints mean, deviation and range of the returns."""
    try:
        job = _job(arguments)
        adapter = environments(job, min(arguments.episodes, job.spec.rollouts.envs_per_worker))
    except Refused:
        return int(ExitCode.BAD_CONFIGURATION)
    except (BadConfiguration, EnvironmentFault, ValueError) as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    try:
        actors = _actors(arguments, list(adapter.lanes))
        result = play(adapter, actors, arguments.episodes, arguments.seed)
        assert result is not None  # nobody asks it to stop
    except (PolicyNotFoundError, RegistryError, CheckpointError, ValueError) as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    except EnvironmentFault as error:
        return failed(str(error))
    finally:
        adapter.close()
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


def _actors(arguments: argparse.Namespace, policies: list[str]) -> dict[str, Actor]:
    """One actor per policy; where there is only one, whatever name it was trained under."""
    several = len(policies) > 1
    return {
        name: load_policy(
            arguments.source, tracking_uri=arguments.tracking_uri, policy=name if several else None
        ).actor
        for name in policies
    }


def _job(arguments: argparse.Namespace) -> TrainingJob:
    """The job whose environment is played: given, or the ``spec.yaml`` of the run that the source lies in."""
    if arguments.manifest:
        return load_job(arguments.manifest)
    source = arguments.source
    if source.startswith("models:/"):
        name = source.removeprefix("models:/").partition("@")[0].partition("/")[0]
        places = [Path("runs") / name]
    else:
        path = Path(source.removeprefix("file://")).resolve()
        places = [path, *path.parents][:4]
    for place in places:
        if (place / "spec.yaml").is_file():
            return load_job(str(place / "spec.yaml"))
    raise ValueError(
        f"cannot tell which environment {source} was trained in: name its job with --manifest FILE"
    )
