"""Whose checkpoints they are: a driver's number in its store, and when it must leave them to another.

The store counts on its own, by one more for every driver. On a cluster the job's uid and the operator's
attempt are noted with each claim: a higher attempt fences lower ones off, and a job that was deleted and made
again under its name goes on, while two different jobs never share a store.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rl_platform.checkpoints.errors import StaleAttempt
from rl_platform.checkpoints.store import CheckpointStore
from rl_platform.driver.building import BadConfiguration
from rl_platform.driver.run_folder import RunFolder
from rl_platform.spec.driver_protocol import ATTEMPT_ENV, JOB_UID_ENV
from rl_platform.spec.training_job import TrainingJob


def open_store(job: TrainingJob, folder: RunFolder) -> CheckpointStore:
    """The store of this driver, not claimed yet. Raises StaleAttempt, BadConfiguration, CheckpointError."""
    spec = job.spec.checkpoint
    uri = spec.uri or str(folder.checkpoints)
    looking = CheckpointStore(uri, keep=spec.keep)
    owner = _owner(job)
    if owner is not None:
        _refuse_if_taken(looking.newest_claim(), owner, uri)
    number = max(attempt_of_environment() or 1, looking.highest_attempt() + 1)
    return CheckpointStore(uri, attempt=number, keep=spec.keep, owner=owner)


def attempt_of_environment() -> int | None:
    """The operator's number of this attempt; None outside a cluster. Raises BadConfiguration."""
    given = os.environ.get(ATTEMPT_ENV)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and 1 <= int(given[:11]) <= 10**9):
        raise BadConfiguration(f"{ATTEMPT_ENV} is {given!r}; it must be a whole number from 1 to 1000000000")
    return int(given)


def _owner(job: TrainingJob) -> dict[str, str | int] | None:
    uid = os.environ.get(JOB_UID_ENV)
    if not uid:
        return None
    name = f"{job.metadata.namespace or 'default'}/{job.metadata.name}"
    return {"job": name, "uid": uid, "jobAttempt": attempt_of_environment() or 1}


def _refuse_if_taken(claim: Mapping[str, object], owner: Mapping[str, str | int], uri: str) -> None:
    theirs, mine = claim.get("job", owner["job"]), owner["job"]
    if theirs != mine:
        raise BadConfiguration(
            f"spec.checkpoint.uri: the checkpoints at {uri} belong to the job {theirs}, this is {mine}; "
            "choose another place, and begin with theirs by checkpoint.restoreFrom"
        )
    newer = claim.get("jobAttempt", 0)
    if claim.get("uid") == owner["uid"] and isinstance(newer, int) and newer > int(owner["jobAttempt"]):
        raise StaleAttempt(
            f"attempt {newer} of this job has taken over the checkpoints at {uri}; this one, "
            f"{owner['jobAttempt']}, must stop"
        )
