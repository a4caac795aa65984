"""``rlp run``: train on this machine, show progress, say where things are."""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

from rl_platform.cli.errors import Refused, failed, load_job
from rl_platform.cli.progress_line import ProgressLine
from rl_platform.driver.result import Result
from rl_platform.driver.run_folder import RunFolderError, Taking
from rl_platform.driver.settled import settled
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import tracking_server


def run(arguments: argparse.Namespace) -> int:
    """The exit code of the result."""
    try:
        job = load_job(arguments.manifest, arguments.overrides)
    except Refused:
        return int(ExitCode.BAD_CONFIGURATION)
    taking: Taking = "resume" if arguments.resume else "overwrite" if arguments.overwrite else "new"
    line = ProgressLine(job.spec.stop)
    quiet = arguments.quiet
    warnings.formatwarning = _warning
    try:
        result = train(
            job,
            arguments.output,
            taking=taking,
            on_report=None if quiet else line.report,
            on_phase=settled((lambda phase: None) if quiet else line.phase),
        )
        line.close()
    except RunFolderError as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION)
    except TrainingFailed as error:
        line.close()
        result = error.result
        failed(f"{result.reason}: {result.message}", cause=error.__cause__)
    if not quiet and result.state != "Failed":
        print(closing_lines(job, result))
    if arguments.json:
        print(json.dumps(result.to_json()))
    return int(result.exit_code)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """As a person needs it: what an environment does wrong, and not which line of ours has seen it."""
    del category, filename, lineno, line
    return f"warning: {message}\n"


def closing_lines(job: TrainingJob, result: Result) -> str:
    """What was reached, where things are, and how to load the policy."""
    lines = [
        f"{result.state}: {result.reason} after {result.env_steps:,} env steps in {result.wall_seconds:.1f} s"
    ]
    if result.episode_return_mean is not None:
        lines.append(f"  return     {result.episode_return_mean:.1f} (last 100 episodes while learning)")
    if result.evaluation is not None:
        evaluation = result.evaluation
        lines.append(
            f"  evaluation {evaluation.return_mean:.1f} ± {evaluation.return_std:.1f} "
            f"({evaluation.episodes} greedy episodes, seed {evaluation.seed})"
        )
    if result.env_steps_per_second:
        lines.append(f"  speed      {result.env_steps_per_second:,.0f} env steps/s")
    lines.append(f"  folder     {result.folder}")
    if result.checkpoint:
        lines.append(f"  checkpoint {result.checkpoint}")
    if result.message:
        lines.append(f"  warning    {result.message}")
    if result.state == "Drained":
        lines.append("Go on with the same command and --resume.")
    model = result.model
    if model is not None:
        lines.append(f"  model      {model.uri} (version {model.version})")
        if model.message:
            lines.append(f"             {model.message}")
        server = tracking_server(job, Path(result.folder or "."))
        lines += ["", "Load the policy:", *_snippet(job, f'"{model.uri}", tracking_uri="{server}"')]
    elif result.state == "Succeeded":
        trained = [policy.name for policy in job.spec.policies if policy.trained]
        which = f', policy="{trained[0]}"' if len(job.spec.policies) > 1 and trained else ""
        lines += ["", "Load the policy:", *_snippet(job, f'"{result.folder}"{which}')]
    return "\n".join(lines)


def _snippet(job: TrainingJob, source: str) -> list[str]:
    environment, recurrent = job.spec.environment, job.spec.model.recurrent.kind != "none"
    load = ["  from rl_platform import load_policy", f"  policy = load_policy({source})"]
    state = ["  state = policy.initial_state()  # one for each episode"] if recurrent else []
    act = "policy.act(observation, state)" if recurrent else "policy.act(observation)"
    if environment.id is None or environment.wrappers or environment.kwargs:
        return [*load, *state, f"  action = {act}  # for one observation, as your environment gives it"]
    reset = f'  observation, _ = gymnasium.make("{environment.id}").reset()'
    return ["  import gymnasium", *load, reset, *state, f"  print({act})"]
