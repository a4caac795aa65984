"""What a folder says of its run: which job it was, whether anything is left to do, what it came to."""

from __future__ import annotations

import json

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.reading import resolve
from rl_platform.driver.result import Result
from rl_platform.driver.run_folder import RunFolder
from rl_platform.spec.manifest import ManifestError, dump_manifest, load_manifest
from rl_platform.spec.training_job import TrainingJob


def finished(job: TrainingJob, folder: RunFolder) -> Result | None:
    """The result of a run of this very job that succeeded, with its model registered; None for any other."""
    result = _succeeded(folder)
    try:
        if result is None or result.checkpoint is None or folder.spec.read_text() != dump_manifest(job):
            return None
        resolve(result.checkpoint)
    except (OSError, CheckpointError):
        return None
    return None if job.spec.tracking.enabled and result.model is None else result


def unregistered(folder: RunFolder) -> TrainingJob | None:
    """The job of a run that succeeded and whose model the registry did not take; None for any other."""
    result = _succeeded(folder)
    if result is None or result.model is not None:
        return None
    job = job_of(folder)
    return job if job is not None and job.spec.tracking.enabled else None


def job_of(folder: RunFolder) -> TrainingJob | None:
    """What was run there last, as far as it can be read."""
    try:
        return load_manifest(folder.spec)
    except ManifestError:
        return None


def _succeeded(folder: RunFolder) -> Result | None:
    try:
        result = Result.from_json(json.loads(folder.result.read_text()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return result if result.state == "Succeeded" else None
