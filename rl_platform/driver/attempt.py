"""One attempt at a job: the loop over the plan, with its reports, checkpoints, evaluations and stop rules."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from copy import deepcopy

from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef
from rl_platform.driver.building import BadConfiguration, assemble, environments, refuse_missing_gpus
from rl_platform.driver.claiming import attempt_of_environment, open_store
from rl_platform.driver.collapse import Collapse, parts_to_watch
from rl_platform.driver.cut_episodes import CutEpisodes
from rl_platform.driver.delayed_saving import DelayedSaving
from rl_platform.driver.drain import Drain
from rl_platform.driver.evaluation import evaluate
from rl_platform.driver.guard import (
    Bounds,
    DivergenceGuard,
    Observed,
    Trouble,
    episode_bound,
    nobody_acted,
)
from rl_platform.driver.preflight import preflight
from rl_platform.driver.process_start import seconds_since_process_start
from rl_platform.driver.result import Evaluation
from rl_platform.driver.run_folder import RunFolder
from rl_platform.driver.saving import Progress, capture, put_back
from rl_platform.driver.stopping import Standing, StopRule
from rl_platform.driver.telemetry import Telemetry
from rl_platform.driver.warm_start import restore_policies
from rl_platform.envs.watchdog import Watchdog
from rl_platform.execution.item import Item
from rl_platform.execution.plan import IDLE
from rl_platform.spec.conditions import StopReason
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.mlflow_settings import tracking_server
from rl_platform.tracking.report import Report
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.learner_at_workers import LearnerAtWorkers
from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.remote_learner import RemoteLearner

log = logging.getLogger(__name__)

DRAIN_GRACE_SECONDS = 20.0
"""How long an exact run that is asked to stop goes on towards its next scheduled checkpoint."""
LEARNER_CHANCES = 3
"""How often in a row it may be lost at one checkpoint: pods are taken away, or the job itself kills it."""


class TrainingTrouble(Exception):
    """Training went wrong (not a number, diverged, no progress)."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.reason = trouble.reason


class Attempt:
    """Built before anything is written, cheapest and likeliest to fail first. Raises what building raises."""

    def __init__(
        self,
        job: TrainingJob,
        folder: RunFolder,
        drain: Drain,
        on_hang: Callable[[str], None],
        on_report: Callable[[Report], None] | None,
    ) -> None:
        self.job, self.folder, self.drain, self.on_report = job, folder, drain, on_report
        self.progress = Progress()
        self.rule = StopRule(job.spec.stop)
        self.watchdog = Watchdog(job.spec.environment.step_timeout_seconds, on_hang)
        self._refuse_bad_server()
        refuse_missing_gpus(job.spec.learner)
        preflight(job, self.watchdog)
        self.assembly = assemble(job, self.watchdog, folder.worker_logs)
        limit = job.spec.environment.max_episode_steps
        episodes = episode_bound(limit, job.spec.rollouts.num_envs)
        collapse = Collapse(parts_to_watch(self.assembly))
        self.guard = DivergenceGuard(Bounds(episode_env_steps=episodes), collapse)
        self.counters, self.cut_episodes = self.assembly.plan.counters, CutEpisodes()
        self.last: CheckpointRef | None = None
        self.begun: tuple[int, int] | None = None  # env steps and updates of the checkpoint begun last
        self.initial: Checkpoint | None = None  # where a learner that is lost early begins again
        self.gone_back: tuple[str | None, int] = (None, 0)  # to which checkpoint, how often in a row
        self.startup_seconds: float | None = None
        self.train_seconds = 0.0  # of this attempt, without evaluations
        self.env_steps_before = 0

    def begin(self, resume: bool) -> bool:
        """Take up the newest checkpoint, or start afresh; claim the checkpoint store; open the outlets.

        Whether there was a checkpoint. One that does not fit raises BadConfiguration, with nothing written.
        """
        self.store = open_store(self.job, self.folder)
        self.assembly.start()
        resumed = resume and self._take_up()
        if not resumed:
            restore_policies(self.job, self.assembly)
            self.assembly.workers.reset(0)
            self.progress.next_checkpoint_update = self.job.spec.checkpoint.every_updates or 0
        self.store.claim()
        if isinstance(self.assembly.run.learner, RemoteLearner) and not resumed:
            self.initial = capture(self.assembly, self.progress, self.rule, self.guard)
        self.env_steps_before = self.counters.env_steps
        self.telemetry = Telemetry(
            self.job,
            self.folder,
            attempt_of_environment() or self.store.attempt,
            self.env_steps_before,
            self.on_report,
        )
        self.delayed = DelayedSaving(self.telemetry.checkpoint_delayed)
        self._take_stop()
        return resumed

    def run(self) -> StopReason:
        """Until a stop rule holds or the run is asked to stop. Raises TrainingTrouble."""
        self._clock()
        if self.asked_to_stop():
            return StopReason.DRAINED
        if self.last is not None:
            done = self.rule.reason(self._standing())
            if done is not None:
                self.telemetry.start()
                return done
        while True:
            try:
                return self._train()
            except LearnerLost as lost:
                self._go_back(lost)

    def _train(self) -> StopReason:
        wall_before = self.progress.wall_seconds - self.train_seconds - self.paused
        for item in self.assembly.plan:
            if self.startup_seconds is None and self.assembly.workers.first_step_at is not None:
                self._first_result()
            self.train_seconds = time.perf_counter() - self.started - self.paused
            self.progress.wall_seconds = wall_before + self.train_seconds + self.paused
            self._resize()
            reason = self._standstill() if IDLE in item.info else self._advance(item)
            if reason is not None:
                return reason
        raise AssertionError("a plan never ends by itself")

    def _go_back(self, lost: LearnerLost) -> None:
        """Make the learner anew and go on from the last checkpoint. Raises what is lost there again and
        again.
        """
        learner, since = self.assembly.run.learner, self.last.uri if self.last else ""
        self.gone_back = (since, self.gone_back[1] + 1 if since == self.gone_back[0] else 1)
        if self.gone_back[1] > LEARNER_CHANCES or not isinstance(learner, RemoteLearner):
            raise lost
        log.warning("%s; going back to %s", lost, self.last.uri if self.last else "the beginning")
        wall_seconds, losses = self.progress.wall_seconds, self.progress.learner_losses + 1
        learner.start()
        self.assembly.plan.settle()
        replaced = self.counters.replaced
        try:
            if not self._take_up() and self.initial is not None:
                # A run changes what it goes on from, and may come back to this one.
                initial = deepcopy(self.initial)
                put_back(initial, self.assembly, self.progress, self.rule, self.guard)
        except LearnerLost as again:
            self._keep(wall_seconds, losses, replaced)
            self._go_back(again)
            return
        self._keep(wall_seconds, losses, replaced)
        self.begun = None
        self.telemetry.went_back_to(self.counters.env_steps)

    def _keep(self, wall_seconds: float, learner_losses: int, replaced: int) -> None:
        """What has passed stays so, wherever the run goes back to."""
        self.progress.wall_seconds, self.progress.learner_losses = wall_seconds, learner_losses
        self.counters.replaced = replaced

    def _resize(self) -> None:
        """Rollout workers join and leave between items."""
        self.telemetry.take_desired()
        pods, workers = self.telemetry.desired_replicas(), self.assembly.workers
        if pods is None or not isinstance(workers, WorkerGroup):
            return
        count = pods * self.job.spec.rollouts.workers_per_pod
        if count != workers.count:
            log.info(
                "%d pods of rollout workers are wanted: %d workers now, not %d", pods, count, workers.count
            )
            learner = self.assembly.run.learner
            if isinstance(learner, LearnerAtWorkers):
                self.assembly.plan.settle()  # before the workers that are still at it are ended
                leaving = learner.regroup(count)
            else:
                leaving = workers.resize(count)
            for who in leaving:
                log.info("rollout worker %s is let go", who)
            self.telemetry.show_pods(workers.hosts())
        elif workers.places.leaving:
            self.telemetry.show_pods(workers.hosts())

    def _standstill(self) -> StopReason | None:
        """No result for a while: look only at the clock and at what the run was asked."""
        if self.asked_to_stop() and self._may_stop(scheduled=False):
            return StopReason.DRAINED
        return self._end()

    def _advance(self, item: Item) -> StopReason | None:
        """Report, evaluate and checkpoint where it is due; why the run should stop, if it should."""
        reason = self._observe(item)
        scheduled = self._checkpoint_due()
        if reason is None:
            # Before any checkpoint of this moment, which then knows that it was evaluated.
            self._evaluate_if_due()
            if self.asked_to_stop() and self._may_stop(scheduled):
                reason = StopReason.DRAINED
        if reason is None and self._to_save(scheduled) and not self.guard.suspects:
            self.delayed.scheduled(self.save)
        return reason

    def save(self) -> None:
        """Write a checkpoint, unless this moment has one already.

        In exact mode every environment starts again from a seed that names the checkpoint: who resumes from
        it begins like this, so a run that is not interrupted does the same.
        """
        moment = (self.counters.env_steps, self.counters.updates)
        if self.last is not None and (self.last.env_steps, self.last.updates) == moment:
            return
        if self.begun != moment:  # otherwise it is tried again
            self.begun = moment
            self.progress.checkpoints += 1
            if self.job.spec.checkpoint.exact:
                self.cut_episodes.at_checkpoint(self.counters.episodes)
                self.assembly.workers.reset(self.progress.checkpoints)
        checkpoint = capture(self.assembly, self.progress, self.rule, self.guard)
        self.last = self.store.save(checkpoint, self.counters.env_steps, self.counters.updates)
        self.saved_at = time.perf_counter()
        self.telemetry.checkpointed(self.last)

    def save_last(self) -> None:
        """The checkpoint that the run ends with. Raises CheckpointError where the store stays away."""
        self.delayed.last(self.save)

    def evaluate(self, on_begin: Callable[[], None] = lambda: None) -> Evaluation | None:
        """Greedy episodes in environments of their own; None where none are wanted, or the run must stop."""
        spec = self.job.spec.evaluation
        if not spec.episodes:
            return None
        on_begin()
        count = min(spec.episodes, self.job.spec.rollouts.envs_per_worker)
        adapter = environments(self.job, count, self.watchdog)
        try:
            actors = self.assembly.actors()
            return evaluate(adapter, actors, spec.episodes, spec.seed, self.watchdog, self.asked_to_stop)
        finally:
            adapter.close()

    def asked_to_stop(self) -> bool:
        """By a signal or through the endpoints."""
        if self.telemetry.drain_requested:
            self.drain.request("POST /drain")
        return self.drain.noticed()

    def _refuse_bad_server(self) -> None:
        if self.job.spec.tracking.enabled:
            try:
                tracking_server(self.job, self.folder.path)
            except ValueError as error:
                raise BadConfiguration(str(error)) from error

    def _take_up(self) -> bool:
        found = self.store.load_latest()
        if found is None:
            return False
        self.last, checkpoint = found
        put_back(checkpoint, self.assembly, self.progress, self.rule, self.guard)
        if self.job.spec.checkpoint.exact:
            self.assembly.workers.reset(self.progress.checkpoints)
        return True

    def _clock(self) -> None:
        self.started = self.saved_at = time.perf_counter()
        self.paused = 0.0  # by evaluations
        self.asked_at: float | None = None

    def _first_result(self) -> None:
        first = self.assembly.workers.first_step_at or time.perf_counter()
        self.startup_seconds = round(seconds_since_process_start() - (time.perf_counter() - first), 3)
        self.started = first
        self.telemetry.start()

    def _observe(self, item: Item) -> StopReason | None:
        """Report, look for trouble, and ask the stop rules."""
        counters, run, wall = self.counters, self.assembly.run, self.progress.wall_seconds
        metrics: dict[str, float] = dict(item.info.get("metrics", {}))
        metrics["time/env_steps_per_second"] = (
            counters.env_steps - self.env_steps_before
        ) / self.train_seconds
        metrics["rollout/episodes"] = float(counters.episodes)
        if isinstance(self.assembly.workers, WorkerGroup):
            metrics["rollout/workers"] = float(self.assembly.workers.count)
            metrics["rollout/workers_lost"] = float(counters.replaced)
            metrics["rollout/dropped_agent_steps"] = float(sum(counters.dropped.values()))
        if counters.stored:
            metrics["replay/stored"] = float(counters.stored)
            metrics["replay/overwritten"] = float(counters.overwritten)
        if isinstance(run.learner, RemoteLearner):
            metrics["learner/losses"] = float(self.progress.learner_losses)
        agent_steps = dict(counters.agent_steps)
        report = Report(counters.env_steps, agent_steps, counters.updates, counters.iterations, wall, metrics)
        self.telemetry.report(report, self.assembly, self.last)
        observed = Observed(counters.env_steps, counters.updates, counters.episodes, wall, metrics)
        trouble = self.guard.check(observed, {name: run.published[name].held.summary for name in run.trained})
        if trouble is not None:
            raise TrainingTrouble(trouble)
        self._take_stop()
        return self._end()

    def _end(self) -> StopReason | None:
        """By the stop rules. Raises TrainingTrouble where no trained policy has acted by then."""
        reason, counters = self.rule.reason(self._standing()), self.counters
        if reason is not None and not any(map(counters.agent_steps.get, self.assembly.run.trained)):
            raise TrainingTrouble(nobody_acted(counters.env_steps, counters.updates))
        return reason

    def _take_stop(self) -> None:
        """What is asked for now; the plan is told, as it may have more to do before its next result."""
        stop = self.rule.stop = self.telemetry.desired_stop() or self.rule.stop
        self.assembly.run.ends_at = (stop.env_steps or math.inf, stop.updates or math.inf)

    def _standing(self) -> Standing:
        counters, episodes = self.counters, self.assembly.run.episodes
        mean = episodes.metrics().get("rollout/episode_return_mean")
        return Standing(
            counters.env_steps, counters.updates, self.progress.wall_seconds, mean, len(episodes.returns)
        )

    def _checkpoint_due(self) -> bool:
        spec, updates = self.job.spec.checkpoint, self.counters.updates
        if spec.every_updates and updates >= self.progress.next_checkpoint_update:
            missed = (updates - self.progress.next_checkpoint_update) // spec.every_updates
            self.progress.next_checkpoint_update += spec.every_updates * (missed + 1)
            return True
        return spec.every_seconds is not None and time.perf_counter() - self.saved_at >= spec.every_seconds

    def _to_save(self, scheduled: bool) -> bool:
        """A delayed one has its own times, but for exact runs, whose environments begin anew at each."""
        if self.delayed.pending and not self.job.spec.checkpoint.exact:
            return self.delayed.due
        return scheduled

    def _may_stop(self, scheduled: bool) -> bool:
        """An exact run stops at a scheduled checkpoint, where it would have reseeded its environments
        anyway.
        """
        if not self.job.spec.checkpoint.exact or scheduled:
            return True
        self.asked_at = self.asked_at or time.perf_counter()
        return time.perf_counter() - self.asked_at > DRAIN_GRACE_SECONDS

    def _save_best(self) -> None:
        self.save()
        if self.last is not None:
            self.store.pin(self.last)

    def _evaluate_if_due(self) -> None:
        every, steps = self.job.spec.evaluation.every_env_steps, self.counters.env_steps
        if not every or steps < self.progress.next_evaluation + every:
            return
        before = time.perf_counter()
        self.progress.next_evaluation = steps
        evaluation = self.evaluate()
        best = self.progress.best_return
        if evaluation is not None and evaluation.return_mean > (-math.inf if best is None else best):
            self.progress.best_return = evaluation.return_mean
            if not self.delayed.scheduled(self._save_best):
                self.progress.best_return = best
        self.paused += time.perf_counter() - before
