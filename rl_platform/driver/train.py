"""A job from its first env step to its result: the story of a run, in order.

`train` is what ``rlp run``, the driver on a cluster and Python users call. The loop is `Attempt.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from rl_platform.driver.attempt import Attempt
from rl_platform.driver.drain import Drain
from rl_platform.driver.finished import finished, job_of
from rl_platform.driver.fixed_fields import other_settings
from rl_platform.driver.outcome import Outcome
from rl_platform.driver.promotion import promote
from rl_platform.driver.result import Result
from rl_platform.driver.run_folder import Taking, chosen_folder
from rl_platform.driver.telemetry import endpoints_port
from rl_platform.serving.registry_process import RegistryProcess, RegistryStopped
from rl_platform.spec.conditions import StopReason
from rl_platform.spec.manifest import as_job, dump_manifest
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.report import Report


class TrainingFailed(Exception):
    """The run ended in a failure. ``result`` says which; it was written to ``result.json`` before."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.reason}: {result.message}")
        self.result = result


def train(
    job: TrainingJob | Mapping[str, Any] | str | Path,
    output: str | Path | None = None,
    *,
    taking: Taking = "new",
    on_report: Callable[[Report], None] | None = None,
    on_phase: Callable[[str], None] | None = None,
) -> Result:
    """Run a job in this process, in the folder ``output`` (``runs/<name>`` by default), to its end.

    ``job``: a TrainingJob, a manifest's path, or its content as a dict. A finished run is not run again by
    ``resume``: its result is returned. SIGINT and SIGTERM checkpoint and end a run as Drained.
    Raises TrainingFailed where the run fails, RunFolderError where the folder holds another run and
    ``taking`` is neither ``overwrite`` nor ``resume``, ManifestError where the job is wrong, and TypeError.
    """
    job = as_job(job)
    if taking not in get_args(Taking):
        raise ValueError(f"taking is {taking!r}; expected one of {', '.join(get_args(Taking))}")
    folder = chosen_folder(output, job.metadata.name)
    outcome, phase = Outcome(job, folder), on_phase or (lambda name: None)
    drain = Drain(lambda by: phase(f"{by}: stopping at the next checkpoint (Ctrl-C again ends it at once)"))
    with folder.held(taking) as used:
        before = finished(job, folder) if taking == "resume" and endpoints_port(job) is None else None
        if before is not None:
            phase("this run is finished: there is nothing to resume")
            return before
        outcome.owned = not used
        with drain.on_signals():
            with outcome.of_failures():
                phase("preflight")
                attempt = Attempt(job, folder, drain, outcome.hung, on_report)
                _take(attempt, outcome, taking, phase)
                phase("training")
                reason = attempt.run()
                phase("saving")
                attempt.save_last()
                _conclude(attempt, outcome, reason, phase)
            if outcome.telemetry is not None and outcome.telemetry.tracker is not None:
                phase(f"tracking{outcome.telemetry.at_server}")
            outcome.close(drain)
    if outcome.result.state == "Failed":
        raise TrainingFailed(outcome.result) from outcome.cause
    return outcome.result


def _take(attempt: Attempt, outcome: Outcome, taking: Taking, phase: Callable[[str], None]) -> None:
    """The job is known to work: only now may it replace or continue what is in the folder."""
    folder, outcome.attempt = attempt.folder, attempt
    before = job_of(folder) if taking == "resume" else None
    if taking == "overwrite":
        folder.clear()
    if not attempt.begin(resume=taking == "resume") and taking == "resume":
        phase("there is no checkpoint to go on from: starting afresh")
    elif before is not None and (changed := other_settings(before, attempt.job)):
        phase(f"going on, where {changed}")
    outcome.owned, outcome.telemetry = True, attempt.telemetry
    folder.result.unlink(missing_ok=True)
    folder.write(folder.spec, dump_manifest(attempt.job, effective=True))


def _conclude(attempt: Attempt, outcome: Outcome, reason: StopReason, phase: Callable[[str], None]) -> None:
    """Evaluate, write what is known, and register; the registry's process imports MLflow meanwhile."""
    if reason is StopReason.DRAINED:
        outcome.end(reason)
        return
    tracker = attempt.telemetry.tracker
    registry = RegistryProcess(attempt.asked_to_stop) if tracker is not None else None
    try:
        outcome.evaluation = attempt.evaluate(lambda: phase("evaluating"))
        if attempt.asked_to_stop():
            outcome.end(
                StopReason.DRAINED, "it is trained, but neither evaluated nor registered: --resume does that"
            )
            return
        outcome.end(reason)
        if tracker is not None and registry is not None:
            phase(f"registering{attempt.telemetry.at_server}")
            outcome.result.model = promote(attempt, outcome.result, tracker, registry, phase)
    except RegistryStopped:
        outcome.end(StopReason.DRAINED, "the model is not registered yet: --resume does it")
    finally:
        if registry is not None:
            registry.close()
