"""``rlp flush``: give MLflow what it did not take during a run: metrics, and the model of a finished one."""

from __future__ import annotations

import os
from pathlib import Path

from rl_platform.cli.errors import failed, say
from rl_platform.driver.finished import unregistered
from rl_platform.driver.run_folder import RunFolder, RunFolderError
from rl_platform.serving.reaching import why_away
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import load_settings
from rl_platform.tracking.mlflow_tracker import FLUSH_SECONDS, TrackingError
from rl_platform.tracking.mlflow_tracker import flush as send


def flush(folder: str) -> int:
    settings = load_settings(Path(folder))
    if settings is not None:
        say(f"sending {folder} to MLflow at {settings.shown_uri}, in {FLUSH_SECONDS:.0f} s at most ...")
        away = why_away(settings.tracking_uri)
        if away is not None:
            return failed(f"{folder} could not be sent: {away}")
    try:
        send(Path(folder))
    except TrackingError as error:
        return failed(str(error))
    print(f"MLflow has all of {folder}")
    job = unregistered(RunFolder(Path(folder)))
    return int(ExitCode.DONE) if job is None else _register(job, Path(folder))


def _register(job: TrainingJob, folder: Path) -> int:
    """Resuming a finished run evaluates its last checkpoint and registers it, and trains no more."""
    from rl_platform.driver.train import TrainingFailed, train  # PyTorch, which sending metrics does not need

    settings = load_settings(folder)
    if settings is not None:
        os.environ["MLFLOW_TRACKING_URI"] = settings.tracking_uri  # where its metrics went
    try:
        result = train(job, folder, taking="resume", on_phase=say)
    except (RunFolderError, TrainingFailed) as error:
        return failed(str(error))
    if result.model is None:
        return failed(result.message)
    print(f"registered {result.model.uri} (version {result.model.version})")
    return int(result.exit_code)
