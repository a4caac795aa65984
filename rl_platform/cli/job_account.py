"""One job in full, for `rlp get NAME`: what it is, where it stands, why, and what happened lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rl_platform.cli.amounts import age, table
from rl_platform.cli.job_events import SeenEvent
from rl_platform.cli.job_progress import headline, measures, steps, traceback
from rl_platform.cli.seen_job import SeenJob

SHOWN_EVENTS = 10


def account(job: SeenJob, events: Sequence[SeenEvent] | str, now: datetime) -> str:
    """``events``: oldest first, or why they cannot be shown."""
    waits = job.waits_for(now)
    lines = [f"{job.name} in namespace {job.namespace}: {headline(job)}", *([f"  {waits}"] if waits else [])]
    lines += [f"  {name:<11}{text}" for name, text in _facts(job, now) if text]
    if job.conditions:
        rows = [
            (f"  {each.type}", each.status, each.reason, age(each.since, now), each.message)
            for each in job.conditions
        ]
        lines += ["", "Conditions", table(rows)]
    if traceback(job):
        lines += ["", "End of the last failure's traceback", *traceback(job)]
    lines += ["", "Events", *_events(events, now)]
    return "\n".join(lines)


def algorithm(job: SeenJob) -> str:
    members = job.at("spec", "algorithm")
    return next(iter(members), "") if isinstance(members, dict) else ""


def environment(job: SeenJob) -> str:
    given = job.text("spec", "environment", "id") or job.text("spec", "environment", "entrypoint")
    return given or job.text("spec", "environment", "kind")


def rollouts(job: SeenJob) -> str:
    """``2/4``: pods that sample of pods that are wanted; empty where the driver samples."""
    wanted = job.number("spec", "rollouts", "replicas") or 0
    return f"{job.number('status', 'rollouts', 'ready') or 0:.0f}/{wanted:.0f}" if wanted else ""


def model(job: SeenJob) -> str:
    name = job.text("status", "model", "name")
    return f"{name} {job.text('status', 'model', 'version')}" if name else ""


def _facts(job: SeenJob, now: datetime) -> list[tuple[str, str]]:
    pods = rollouts(job)
    cluster = [job.text("status", "rayCluster"), f"{pods} rollout pods ready" if pods else ""]
    return [
        ("trains", f"{algorithm(job)} on {environment(job)}, seed {job.number('spec', 'seed') or 0:.0f}"),
        ("progress", " · ".join([steps(job), *measures(job)]) if job.attempt or job.env_steps else ""),
        ("attempt", _attempt(job)),
        ("cluster", ", ".join(filter(None, cluster))),
        ("checkpoint", job.text("status", "checkpoint", "uri")),
        ("model", job.text("status", "model", "uri")),
        ("MLflow", _mlflow(job)),
        ("submitted", f"{age(job.text('metadata', 'creationTimestamp'), now)} ago"),
        ("started", _ago(job.text("status", "startTime"), now)),
        ("ended", _ago(job.text("status", "completionTime"), now)),
    ]


def _attempt(job: SeenJob) -> str:
    if not job.attempt:
        return ""
    budgets = (("application", "backoffLimit"), ("infrastructure", "infrastructureRetries"))
    counts = [
        f"{job.number('status', 'failures', kind) or 0:.0f} of {job.text('spec', 'runPolicy', limit)} {kind}"
        for kind, limit in budgets
    ]
    return f"{job.attempt} (failures: {', '.join(counts)})"


def _mlflow(job: SeenJob) -> str:
    parts = {"": "uri", "experiment ": "experiment", "run ": "runId"}
    found = [f"{word}{job.text('status', 'mlflow', name)}" for word, name in parts.items()]
    return ", ".join(each for each, word in zip(found, parts, strict=True) if each != word)


def _ago(time: str, now: datetime) -> str:
    return f"{age(time, now)} ago" if time else ""


def _events(events: Sequence[SeenEvent] | str, now: datetime) -> list[str]:
    if isinstance(events, str):
        return [f"  {events}"]
    if not events:
        return ["  none lately: the cluster keeps them for an hour or so"]
    rows = [(f"  {age(each.time, now)}", each.type, str(each)) for each in events[-SHOWN_EVENTS:]]
    return table(rows).splitlines()
