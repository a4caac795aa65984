"""Everything that leaves a running driver: progress file, MLflow, Prometheus, the endpoints, the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rl_platform.checkpoints.checkpoint import CheckpointRef
from rl_platform.driver.edge_figures import EdgeFigure, EdgeFigures
from rl_platform.driver.result import Result, State, versions
from rl_platform.driver.run_folder import RunFolder
from rl_platform.spec.conditions import FailureReason, StopReason
from rl_platform.spec.driver_protocol import (
    DESIRED_ENV,
    HOST_ENV,
    LINGER_SECONDS,
    PORT_ENV,
    TOKEN_FILE_ENV,
    Desired,
    EdgeProgress,
    FailureProgress,
    Progress,
    ProgressState,
)
from rl_platform.spec.running import StopSpec
from rl_platform.spec.status import CheckpointStatus, ModelStatus
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report

if TYPE_CHECKING:
    from rl_platform.driver.building import Assembly
    from rl_platform.driver.http import DriverEndpoints
    from rl_platform.tracking.mlflow_tracker import MlflowTracker, Status
    from rl_platform.tracking.prometheus import RunMetrics

FLUSH_SECONDS = 60.0
DRAINED_SECONDS = 5.0  # whoever stopped the run waits, and the next attempt sends what is left
AWAY_SECONDS = 10.0  # a server that was given up a moment before
RUN_ID_SECONDS = 600.0  # on a busy machine MLflow's import and its new database take minutes
RUN_ID_SAID_SECONDS = 5.0
MESSAGE_LENGTH = 2048
MLFLOW_STATUS: dict[State, Status] = {"Succeeded": "FINISHED", "Failed": "FAILED", "Drained": "KILLED"}


class Telemetry:
    """The outlets of one attempt. None of them can stall or end training."""

    def __init__(
        self,
        job: TrainingJob,
        folder: RunFolder,
        attempt: int,
        resumed_at: int,
        on_report: Callable[[Report], None] | None,
    ) -> None:
        self.job, self.folder, self.attempt, self.on_report = job, folder, attempt, on_report
        self.log = ProgressLog(folder.progress)
        self.log.truncate_after(resumed_at)
        self.tracker: MlflowTracker | None = None
        self.server_away = False  # MLflow has taken nothing yet when the model is to be registered
        self.metrics: RunMetrics | None = None
        self.endpoints: DriverEndpoints | None = None
        self._checkpoint: CheckpointRef | None = None
        self._checkpoint_fault: str | None = None
        self._changed = _changed_since_written()
        self._taken: Desired | None = None
        self._pods: tuple[str, ...] | None = None
        self._edges = EdgeFigures()
        self._open_endpoints()

    @property
    def at_server(self) -> str:
        """Where MLflow is, for messages, where it is a server and may be away; empty otherwise."""
        uri = self.tracker.shown_uri if self.tracker is not None else ""
        return f" at {uri}" if uri.startswith("http") else ""

    def run_id(self, stop: Callable[[], bool], phase: Callable[[str], None]) -> str | None:
        """MLflow's run, once its child process has made it: waited for while that is at work, however slow.

        None where MLflow does not take the run, and as soon as ``stop`` says so. ``phase`` is told of a wait
        that one would wonder about.
        """
        began, said = time.monotonic(), False
        while self.tracker is not None and (waited := time.monotonic() - began) < RUN_ID_SECONDS:
            run_id = self.tracker.run_id()
            if run_id is not None or self.tracker.warning() is not None or stop():
                return run_id
            if waited >= RUN_ID_SAID_SECONDS and not said:
                phase(f"registering{self.at_server}: waiting for MLflow to have the run")
                said = True
            time.sleep(0.05)
        return None

    def start(self) -> None:
        """Start MLflow's child process: after the first env step, so that it does not delay it."""
        if self.job.spec.tracking.enabled:
            from rl_platform.tracking.mlflow_tracker import MlflowTracker

            self.tracker = MlflowTracker(self.job, self.folder.path, self.attempt, versions())
            self.tracker.start()

    def report(self, report: Report, assembly: Assembly, checkpoint: CheckpointRef | None) -> None:
        """One report to every outlet that is open. Where workers are elsewhere, edges are logged too."""
        plan = assembly.plan
        asked = self.metrics is not None and self.endpoints is not None
        due = plan.wait is not None and self._edges.due
        figures = self._edges.observe(plan) if asked or due else {}
        with_edges = replace(report, metrics=report.metrics | self._edges.metrics(figures))
        if due:
            report = with_edges
            self._edges.noted()
        self.log.append(report)
        if self.metrics is not None and self.endpoints is not None:
            counters = plan.counters
            self.metrics.observe(with_edges, counters.dropped, counters.version)
            self.endpoints.publish(self._progress(report, assembly, figures, checkpoint))
        if self.on_report is not None:
            self.on_report(report)

    def checkpoint_delayed(self, why: str) -> None:
        """A checkpoint could not be saved; the run goes on."""
        self._checkpoint_fault = why[-MESSAGE_LENGTH:]

    def checkpointed(self, ref: CheckpointRef) -> None:
        self._checkpoint, self._checkpoint_fault = ref, None
        if self.metrics is not None:
            self.metrics.checkpointed(ref.env_steps, time.time())

    def went_back_to(self, env_steps: int) -> None:
        """The run goes on from an earlier moment: reports of later ones are taken back."""
        self.log.truncate_after(env_steps)

    @property
    def drain_requested(self) -> bool:
        return self.endpoints is not None and self.endpoints.drain_requested

    def take_desired(self) -> None:
        """From now on what was put last is acted on, and shown as such."""
        self._taken = self.endpoints.desired() if self.endpoints is not None else None

    def show_pods(self, pods: Sequence[str]) -> None:
        """Where rollout workers are, or what is still wanted of them: others may be taken away. At once, as
        a report may be long in coming.
        """
        if self.endpoints is None or self._pods == tuple(pods):
            return
        self._pods = tuple(pods)
        taken = self._taken.generation if self._taken is not None else None
        shown = self.endpoints.shown.model_copy(
            update={"rollout_pods": self._pods, "desired_generation": taken}
        )
        self.endpoints.publish(shown)

    def desired_stop(self) -> StopSpec | None:
        """Stop rules that replace those of the manifest, if somebody put them."""
        desired = self._desired()
        return desired.stop if desired is not None else None

    def desired_replicas(self) -> int | None:
        """Pods of rollout workers, if somebody put another number than that of the manifest."""
        desired = self._desired()
        return desired.replicas if desired is not None else None

    def warning(self) -> str | None:
        """What a person should know, such as an MLflow server that does not answer."""
        return self.tracker.warning() if self.tracker is not None else None

    def finish(self, result: Result, stop: Callable[[], bool]) -> None:
        """Flush until ``stop`` says otherwise, show the final progress until it is acknowledged, close."""
        self.log.close()
        if self.tracker is not None:
            seconds = AWAY_SECONDS if self.server_away else FLUSH_SECONDS
            seconds = DRAINED_SECONDS if result.state == "Drained" else seconds
            self.tracker.finish(MLFLOW_STATUS[result.state], seconds, stop)
        if self.endpoints is not None:
            self.endpoints.publish(self._final(result))
            self.endpoints.wait_for_ack(LINGER_SECONDS)
            self.endpoints.close()

    def _desired(self) -> Desired | None:
        return self._taken or self._changed

    def _open_endpoints(self) -> None:
        port = endpoints_port(self.job)
        if port is None:
            return
        from rl_platform.driver.http import DriverEndpoints
        from rl_platform.tracking.prometheus import RunMetrics

        build = {name: version or "unknown" for name, version in versions().items()}
        self.metrics = RunMetrics(build)
        token_file = os.environ.get(TOKEN_FILE_ENV)
        token = Path(token_file).read_text().strip() if token_file else None
        host = os.environ.get(HOST_ENV, "127.0.0.1")
        self.endpoints = DriverEndpoints(int(port), token, self.metrics.registry, host)
        self.endpoints.publish(Progress(attempt=self.attempt, state=ProgressState.STARTING))

    def _progress(
        self,
        report: Report,
        assembly: Assembly,
        figures: dict[str, EdgeFigure],
        checkpoint: CheckpointRef | None,
    ) -> Progress:
        speed = report.metrics.get("time/env_steps_per_second")
        return Progress(
            attempt=self.attempt,
            state=ProgressState.DRAINING if self.drain_requested else ProgressState.TRAINING,
            env_steps=report.env_steps,
            agent_steps=report.agent_steps,
            updates=report.updates,
            episodes=int(report.metrics.get("rollout/episodes", 0)),
            episode_return_mean=report.metrics.get("rollout/episode_return_mean"),
            env_steps_per_second=speed,
            wall_seconds=report.wall_seconds,
            eta_seconds=seconds_left(self.job.spec.stop, report),
            workers_lost=assembly.plan.counters.replaced,
            dropped=dict(assembly.plan.counters.dropped),
            rollout_pods=self._pods,
            checkpoint=_checkpoint_status(checkpoint),
            checkpoint_fault=self._checkpoint_fault,
            mlflow_run_id=self.tracker.run_id() if self.tracker is not None else None,
            edges=tuple(
                EdgeProgress(
                    name=name,
                    depth=each.depth,
                    age_seconds=each.age_seconds,
                    items_per_second=each.items_per_second,
                )
                for name, each in figures.items()
            ),
            desired_generation=self._taken.generation if self._taken is not None else None,
        )

    def _model_fault(self, result: Result) -> str | None:
        wanted = result.state == "Succeeded" and self.job.spec.tracking.enabled
        return result.message[-MESSAGE_LENGTH:] if wanted and result.model is None else None

    def _final(self, result: Result) -> Progress:
        failed = result.state == "Failed"
        failure = None
        if failed:
            failure = FailureProgress(
                reason=FailureReason(result.reason), message=result.message[-MESSAGE_LENGTH:]
            )
        return Progress(
            attempt=self.attempt,
            state=ProgressState(result.state),
            env_steps=result.env_steps,
            agent_steps=result.agent_steps,
            updates=result.updates,
            episodes=result.episodes,
            episode_return_mean=result.episode_return_mean,
            wall_seconds=result.wall_seconds,
            workers_lost=result.workers_lost,
            dropped=result.dropped,
            checkpoint=_checkpoint_status(self._checkpoint),
            model=_model_status(result),
            model_fault=self._model_fault(result),
            mlflow_run_id=self.tracker.run_id() if self.tracker is not None else None,
            stop_reason=None if failed else StopReason(result.reason),
            failure=failure,
        )


def _changed_since_written() -> Desired | None:
    """What the operator knows at the start of the attempt that is not in the job's file."""
    document = os.environ.get(DESIRED_ENV)
    return Desired.model_validate_json(document) if document else None


def _model_status(result: Result) -> ModelStatus | None:
    model = result.model
    return ModelStatus(name=model.name, version=model.version, uri=model.uri) if model is not None else None


def endpoints_port(job: TrainingJob) -> str | int | None:
    """Where the endpoints are to be; None where none are wanted."""
    return os.environ.get(PORT_ENV) or job.spec.driver.port


def seconds_left(stop: StopSpec, report: Report) -> float | None:
    """Until the first of the limits is reached at the present speed; None where none can be estimated."""
    speed = report.metrics.get("time/env_steps_per_second") or 0.0
    estimates = []
    if stop.env_steps is not None and speed > 0:
        estimates.append((stop.env_steps - report.env_steps) / speed)
    if stop.updates is not None and report.updates and report.wall_seconds:
        estimates.append((stop.updates - report.updates) * report.wall_seconds / report.updates)
    if stop.wall_seconds is not None:
        estimates.append(stop.wall_seconds - report.wall_seconds)
    return max(0.0, min(estimates)) if estimates else None


def _checkpoint_status(ref: CheckpointRef | None) -> CheckpointStatus | None:
    return (
        CheckpointStatus(uri=ref.uri, env_steps=ref.env_steps, digest=ref.digest) if ref is not None else None
    )
