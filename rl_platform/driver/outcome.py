"""How a run ends: whatever happens becomes a result with a reason, written where it can be found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from rl_platform.checkpoints.errors import CheckpointError, StaleAttempt
from rl_platform.data.shortened import MESSAGE_CHARACTERS, shortened
from rl_platform.driver.attempt import Attempt, TrainingTrouble
from rl_platform.driver.building import BadConfiguration
from rl_platform.driver.drain import Drain
from rl_platform.driver.full_store import is_full, what_to_do
from rl_platform.driver.http import EndpointError
from rl_platform.driver.result import Evaluation, Result, State, versions, weights_digest
from rl_platform.driver.run_folder import RunFolder, RunFolderError
from rl_platform.driver.telemetry import Telemetry
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.spec.conditions import FailureReason, StopReason
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import ProgressLogError
from rl_platform.workers.losses import LearnerLost, is_of_ray
from rl_platform.workers.objective_checks import BadObjective
from rl_platform.workers.ray_session import BadRayAddress, RayUnreachable
from rl_platform.workers.ray_start import RayNotStarted
from rl_platform.workers.replay_shards import ShardsLost
from rl_platform.workers.worker_losses import WorkersLost

REASONS: tuple[tuple[type[Exception], FailureReason], ...] = (
    (BadConfiguration, FailureReason.BAD_CONFIGURATION),
    (EndpointError, FailureReason.BAD_CONFIGURATION),
    (BadObjective, FailureReason.BAD_CONFIGURATION),
    (EnvironmentFault, FailureReason.ENVIRONMENT_FAULT),
    (WorkersLost, FailureReason.ENVIRONMENT_FAULT),
    (ShardsLost, FailureReason.INTERNAL_ERROR),
    (CheckpointError, FailureReason.CHECKPOINT_FAILED),
    (ProgressLogError, FailureReason.CHECKPOINT_FAILED),
    (RunFolderError, FailureReason.CHECKPOINT_FAILED),
    (MemoryError, FailureReason.OUT_OF_MEMORY),
    (BadRayAddress, FailureReason.BAD_CONFIGURATION),
    (RayUnreachable, FailureReason.RAY_LOST),
    (RayNotStarted, FailureReason.RAY_LOST),
)


class Outcome:
    """The result of a run while it becomes known."""

    def __init__(self, job: TrainingJob, folder: RunFolder) -> None:
        self.job, self.folder = job, folder
        self.attempt: Attempt | None = None
        self.telemetry: Telemetry | None = None
        self.evaluation: Evaluation | None = None
        self.cause: BaseException | None = None
        self.owned = False  # whether the folder is this run's: a result of another one is not replaced
        self.result = Result("Failed", FailureReason.INTERNAL_ERROR)

    def end(self, reason: StopReason, message: str = "") -> None:
        """The run ended as it should; written before anything that can still fail."""
        self._fill("Drained" if reason is StopReason.DRAINED else "Succeeded", reason, message)
        self._write()

    @contextmanager
    def of_failures(self) -> Iterator[None]:
        """Turn what goes wrong into a result; what was saved before stays."""
        try:
            yield
        except StaleAttempt as error:
            # Another driver goes on from the checkpoints: nothing has failed.
            self.cause = error
            self._fill("Drained", StopReason.DRAINED, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the result's reason
            self.cause = error
            self._fill("Failed", _reason(error), _message(error, self._logs()))
        except SystemExit as error:
            self.cause = error
            message = (
                f"something called sys.exit({error.code!r}) during the run: the environment, or a library"
            )
            self._fill("Failed", FailureReason.INTERNAL_ERROR, shortened(message))

    def hung(self, message: str) -> None:
        """From a thread, while the environment does not come back: say so, and end the process with it."""
        self._fill("Failed", FailureReason.ENVIRONMENT_FAULT, message)
        self._write()
        sys.stderr.write(f"error: {self.result.reason}: {message}\n")
        sys.stderr.flush()
        os._exit(int(self.result.exit_code))

    def close(self, drain: Drain) -> None:
        """Write what is known now, flush the outlets (a new signal ends that), close the environments."""
        before = drain.signals
        try:
            self._write()
        except RunFolderError as error:
            self.result.message = f"{self.result.message} ({error})".strip()
        if self.telemetry is not None:
            self.telemetry.finish(self.result, lambda: drain.signals > before)
            self.result.message = self.result.message or self.telemetry.warning() or ""
        if self.attempt is not None:
            self.attempt.assembly.close()

    def _fill(self, state: State, reason: str, message: str) -> None:
        result, attempt = self.result, self.attempt
        result.state, result.reason, result.message = state, str(reason), message
        result.seed, result.versions, result.folder = self.job.spec.seed, versions(), str(self.folder.path)
        result.evaluation = self.evaluation
        if attempt is None:
            return
        counters, run = attempt.counters, attempt.assembly.run
        result.env_steps, result.agent_steps = counters.env_steps, dict(counters.agent_steps)
        result.updates, result.episodes = counters.updates, counters.episodes
        result.dropped, result.abandoned_agent_steps = dict(counters.dropped), counters.abandoned
        result.workers_lost, result.learner_losses = counters.replaced, attempt.progress.learner_losses
        result.wall_seconds = round(attempt.progress.wall_seconds, 3)
        result.startup_seconds = attempt.startup_seconds
        result.checkpoint = attempt.last.uri if attempt.last is not None else None
        returns = run.episodes.returns
        result.episode_return_mean = float(np.mean(returns)) if returns else None
        with suppress(LearnerLost):  # then there are no weights but those of the checkpoint
            result.weights_digest = weights_digest({name: it.weights for name, it in run.published.items()})
        if attempt.train_seconds:
            steps = counters.env_steps - attempt.env_steps_before
            result.env_steps_per_second = round(steps / attempt.train_seconds, 1)

    def _logs(self) -> str | None:
        """Where what rollout workers print will be; None where another Ray keeps it."""
        session = self.attempt.assembly.session if self.attempt is not None else None
        return str(self.folder.worker_logs) if session is not None and session.is_own else None

    def _write(self) -> None:
        if self.owned:
            self.folder.write_json(self.folder.result, self.result.to_json())


def _reason(error: Exception) -> FailureReason:
    if isinstance(error, TrainingTrouble):
        return error.reason
    if is_full(error):
        return FailureReason.OUT_OF_MEMORY
    if is_of_ray(error):
        return FailureReason.RAY_LOST
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), FailureReason.INTERNAL_ERROR)


def _message(error: Exception, logs: str | None = None) -> str:
    if is_full(error):
        return what_to_do(error)
    known = isinstance(error, TrainingTrouble) or any(isinstance(error, kind) for kind, _ in REASONS)
    told = getattr(error, "cause", error) if known else error  # of a task in another process: its own words
    # What an environment said has been shortened with words of ours around it: they are to stay.
    text = shortened(str(told) or type(error).__name__, 2 * MESSAGE_CHARACTERS)
    if isinstance(error, WorkersLost):
        where = logs or "their pods' logs, or in those of their Ray"
        return f"{text}; what they printed is in {where}"
    return text if known else f"{type(error).__name__}: {text}"
