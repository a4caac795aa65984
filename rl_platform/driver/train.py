"""A job from its first env step to its result: sample, learn, report, checkpoint, stop.

`train` is the whole story; each line of it is a method of `Training`, which holds what the run needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rl_platform.checkpoints.checkpoint import CheckpointRef
from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.store import CheckpointStore
from rl_platform.driver.building import Assembly, BadConfiguration, assemble, environments
from rl_platform.driver.drain import Drain
from rl_platform.driver.evaluation import evaluate, preflight
from rl_platform.driver.guard import DivergenceGuard, Observed
from rl_platform.driver.process_start import seconds_since_process_start
from rl_platform.driver.promotion import promote
from rl_platform.driver.result import Evaluation, Result, versions, weights_digest
from rl_platform.driver.run_folder import RunFolder, RunFolderError, Taking
from rl_platform.driver.saving import Progress, capture, put_back
from rl_platform.driver.stopping import Standing, StopRule
from rl_platform.driver.telemetry import Telemetry
from rl_platform.driver.warm_start import restore_policies
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.watchdog import Watchdog
from rl_platform.execution.item import Item
from rl_platform.spec.conditions import FailureReason, StopReason
from rl_platform.spec.manifest import dump_manifest
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report

DRAIN_GRACE_SECONDS = 20.0
"""How long an exact run that is asked to stop goes on towards its next scheduled checkpoint."""


class TrainingFailed(Exception):
    """The run ended in a failure. ``result`` says which; it was written to ``result.json`` before."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.reason}: {result.message}")
        self.result = result


def train(
    job: TrainingJob,
    output: str | Path | None = None,
    *,
    taking: Taking = "new",
    on_report: Callable[[Report], None] | None = None,
    on_phase: Callable[[str], None] | None = None,
    drain: Drain | None = None,
) -> Result:
    """Run a job in this process. ``output`` is the run's folder, ``runs/<name>`` by default.

    Raises TrainingFailed where the run fails (its ``result`` is also in the folder), BadConfiguration and
    RunFolderError where it could not begin.
    """
    folder = RunFolder(Path(output) if output else Path("runs") / job.metadata.name)
    folder.take(taking)
    training = Training(job, folder, drain or Drain(), on_report, on_phase or (lambda phase: None))
    with training.drain.on_signals(), training.failures():
        training.prepare(resume=taking == "resume")
        reason = training.loop()
        training.finish(reason)
    if training.result.state == "Failed":
        raise TrainingFailed(training.result) from training.cause
    return training.result


@dataclass
class Training:
    """One attempt at a job."""

    job: TrainingJob
    folder: RunFolder
    drain: Drain
    on_report: Callable[[Report], None] | None
    on_phase: Callable[[str], None]
    progress: Progress = field(default_factory=Progress)
    guard: DivergenceGuard = field(default_factory=DivergenceGuard)
    result: Result = field(default_factory=lambda: Result("Failed", FailureReason.INTERNAL_ERROR))
    cause: BaseException | None = None
    last: CheckpointRef | None = None
    evaluation: Evaluation | None = None
    assembly: Assembly | None = None
    telemetry: Telemetry | None = None

    def prepare(self, resume: bool) -> None:
        """Everything before the first env step, cheapest and likeliest to fail first."""
        self.folder.write(self.folder.spec, dump_manifest(self.job, effective=True))
        self._preflight()
        self.watchdog = Watchdog(self.job.spec.environment.step_timeout_seconds, self._hung)
        self.assembly: Assembly = assemble(self.job, self.watchdog)
        self.rule = StopRule(self.job.spec.stop)
        self.store = self._open_store()
        if not (resume and self._resume()):
            self._start_fresh()
        self.store.claim()
        resumed_at = self.assembly.plan.counters.env_steps
        self.telemetry = Telemetry(self.job, self.folder, self.store.attempt, resumed_at, self.on_report)
        self.began, self.paused = time.perf_counter(), 0.0
        self.wall_before = self.progress.wall_seconds
        self.start_env_steps = resumed_at

    def loop(self) -> StopReason:
        """Until a stop rule holds. Raises _Trouble where training has gone wrong."""
        self.on_phase("training")
        for item in self.assembly.plan:
            self._started()
            reason = self._observe(item)
            scheduled = self._checkpoint_due()
            if reason is None and self.drain.requested_by and self._may_stop(scheduled):
                reason = StopReason.DRAINED
            if reason is not None:
                self.train_seconds = time.perf_counter() - self.began - self.paused
                return reason
            if scheduled:
                self._save(scheduled=True)
            self._evaluate_if_due()
        raise AssertionError("a plan never ends by itself")

    def finish(self, reason: StopReason) -> None:
        """Last checkpoint, evaluation, registration, result."""
        self.on_phase("saving")
        self._save(scheduled=False)
        state = "Drained" if reason is StopReason.DRAINED else "Succeeded"
        if state == "Succeeded":
            self.on_phase("evaluating")
            self.evaluation = self._evaluate()
        self._fill(state, reason)
        self._write_result()
        if state == "Succeeded":
            self.on_phase("registering")
            self.result.model = promote(self.job, self.folder, self.assembly, self.result, self.telemetry)
            self._write_result()
        self.on_phase("tracking")
        self.telemetry.finish(self.result)
        self.assembly.close()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what goes wrong into a result with a reason; what was saved before stays."""
        try:
            yield
        except (BadConfiguration, RunFolderError) as error:
            self._fail(FailureReason.BAD_CONFIGURATION, error)
        except EnvironmentFault as error:
            self._fail(FailureReason.ENVIRONMENT_FAULT, error)
        except CheckpointError as error:
            self._fail(FailureReason.CHECKPOINT_FAILED, error)
        except _Trouble as error:
            self._fail(error.reason, error)
        except MemoryError as error:
            self._fail(FailureReason.OUT_OF_MEMORY, error)
        except Exception as error:
            self._fail(FailureReason.INTERNAL_ERROR, error)

    def _preflight(self) -> None:
        """Build one environment and step it once, so that a broken one fails before anything is started."""
        self.on_phase("preflight")
        adapter = environments(self.job, 1)
        try:
            preflight(adapter)
        finally:
            adapter.close()

    def _open_store(self) -> CheckpointStore:
        spec = self.job.spec.checkpoint
        uri = spec.uri or str(self.folder.checkpoints)
        attempt = CheckpointStore(uri, keep=spec.keep).highest_attempt() + 1
        return CheckpointStore(uri, attempt=attempt, keep=spec.keep)

    def _resume(self) -> bool:
        found = self.store.load_latest()
        if found is None:
            return False
        self.last, checkpoint = found
        put_back(checkpoint, self.assembly, self.progress, self.rule, self.guard)
        if self.job.spec.checkpoint.exact:
            self.assembly.workers.reset(self.progress.checkpoints)
        return True

    def _start_fresh(self) -> None:
        restore_policies(self.job, self.assembly)
        self.assembly.workers.reset(0)
        self.progress.next_checkpoint_update = self.job.spec.checkpoint.every_updates or 0

    def _started(self) -> None:
        if self.result.startup_seconds is None:
            first = self.assembly.workers.first_step_at or time.perf_counter()
            self.result.startup_seconds = round(
                seconds_since_process_start() - (time.perf_counter() - first), 3
            )
            self.began = first
            self.saved_at = time.perf_counter()
            self.telemetry.start()

    def _observe(self, item: Item) -> StopReason | None:
        counters, run = self.assembly.plan.counters, self.assembly.run
        elapsed = time.perf_counter() - self.began - self.paused
        self.progress.wall_seconds = self.wall_before + time.perf_counter() - self.began
        metrics = dict(item.info.get("metrics", {}))
        done = counters.env_steps - self.start_env_steps
        metrics["time/env_steps_per_second"] = done / max(elapsed, 1e-9)
        metrics["rollout/episodes"] = float(counters.episodes)
        report = Report(
            counters.env_steps,
            dict(counters.agent_steps),
            counters.updates,
            counters.iterations,
            self.progress.wall_seconds,
            metrics,
        )
        self.telemetry.report(report, self.assembly, self.last)
        weights = {name: run.published[name].weights for name in run.trained}
        observed = Observed(
            counters.env_steps, counters.updates, counters.episodes, self.progress.wall_seconds, metrics
        )
        trouble = self.guard.check(observed, weights)
        if trouble is not None:
            raise _Trouble(trouble.reason, trouble.message)
        if self.telemetry.drain_requested:
            self.drain.request("POST /drain")
        self.rule.stop = self.telemetry.desired_stop() or self.rule.stop
        mean = metrics.get("rollout/episode_return_mean")
        standing = Standing(
            counters.env_steps, counters.updates, self.progress.wall_seconds, mean, len(run.episodes.returns)
        )
        return self.rule.reason(standing)

    def _checkpoint_due(self) -> bool:
        spec, updates = self.job.spec.checkpoint, self.assembly.plan.counters.updates
        if spec.every_updates and updates >= self.progress.next_checkpoint_update:
            missed = (updates - self.progress.next_checkpoint_update) // spec.every_updates
            self.progress.next_checkpoint_update += spec.every_updates * (missed + 1)
            return True
        return bool(spec.every_seconds) and time.perf_counter() - self.saved_at >= (spec.every_seconds or 0)

    def _may_stop(self, scheduled: bool) -> bool:
        """An exact run stops at a scheduled checkpoint, where it would have reseeded its environments anyway."""
        if not self.job.spec.checkpoint.exact or scheduled:
            return True
        self.drain_since = getattr(self, "drain_since", time.perf_counter())
        return time.perf_counter() - self.drain_since > DRAIN_GRACE_SECONDS

    def _save(self, scheduled: bool) -> None:
        counters = self.assembly.plan.counters
        if scheduled or self.drain.requested_by:
            self.progress.checkpoints += 1
            if self.job.spec.checkpoint.exact:
                self.assembly.workers.reset(self.progress.checkpoints)
        checkpoint = capture(self.assembly, self.progress, self.rule, self.guard)
        self.last = self.store.save(checkpoint, counters.env_steps, counters.updates)
        self.saved_at = time.perf_counter()

    def _evaluate_if_due(self) -> None:
        every, steps = self.job.spec.evaluation.every_env_steps, self.assembly.plan.counters.env_steps
        if not every or steps < self.progress.next_evaluation + every:
            return
        self.progress.next_evaluation = steps
        before = time.perf_counter()
        evaluation = self._evaluate()
        if evaluation is not None and evaluation.return_mean > (self.progress.best_return or -np.inf):
            self.progress.best_return = evaluation.return_mean
            self._save(scheduled=False)
            if self.last is not None:
                self.store.pin(self.last)
        self.paused += time.perf_counter() - before

    def _evaluate(self) -> Evaluation | None:
        spec = self.job.spec.evaluation
        if not spec.episodes:
            return None
        adapter = environments(self.job, min(spec.episodes, self.job.spec.rollouts.envs_per_worker))
        try:
            return evaluate(adapter, self.assembly.actors(), spec.episodes, spec.seed)
        finally:
            adapter.close()

    def _fill(self, state: str, reason: str, message: str = "") -> None:
        result = self.result
        result.state, result.reason, result.message = state, str(reason), message  # type: ignore[assignment]
        result.seed, result.versions, result.folder = self.job.spec.seed, versions(), str(self.folder.path)
        result.checkpoint = self.last.uri if self.last else None
        result.wall_seconds = round(self.progress.wall_seconds, 3)
        result.evaluation = self.evaluation
        if not hasattr(self, "assembly"):
            return
        counters, run = self.assembly.plan.counters, self.assembly.run
        result.env_steps, result.agent_steps = counters.env_steps, dict(counters.agent_steps)
        result.updates, result.episodes = counters.updates, counters.episodes
        result.dropped = dict(counters.dropped)
        returns = run.episodes.returns
        result.episode_return_mean = float(np.mean(returns)) if returns else None
        result.weights_digest = weights_digest({name: each.weights for name, each in run.published.items()})
        if hasattr(self, "train_seconds"):
            result.env_steps_per_second = round(
                (counters.env_steps - self.start_env_steps) / self.train_seconds, 1
            )

    def _fail(self, reason: FailureReason, error: BaseException) -> None:
        self.cause = error
        message = str(error) or type(error).__name__
        if reason is FailureReason.INTERNAL_ERROR:
            message = f"{type(error).__name__}: {message}"
        self._fill("Failed", reason, message)
        try:
            self._write_result()
        except RunFolderError as unwritten:
            self.result.message += f" (and {unwritten})"
        if hasattr(self, "telemetry"):
            self.telemetry.finish(self.result)

    def _write_result(self) -> None:
        self.folder.write_json(self.folder.result, self.result.to_json())

    def _hung(self, message: str) -> None:
        """Called from a thread while the environment does not come back: only the result can be saved."""
        self._fill("Failed", FailureReason.ENVIRONMENT_FAULT, message)
        self._write_result()


class _Trouble(Exception):
    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
