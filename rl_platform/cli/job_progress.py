"""How far a job is, in words and as a bar: what `rlp get` and `rlp watch` share."""

from __future__ import annotations

from datetime import datetime

from rl_platform.cli.amounts import bar, duration, plain, short_count
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.conditions import ConditionType, Phase


def steps(job: SeenJob) -> str:
    """``70,144 of 140,000 env steps (50 %)``."""
    total = job.number("spec", "stop", "envSteps")
    if not total:
        return f"{job.env_steps:,} env steps"
    percent = int(100 * min(1.0, job.env_steps / total))
    return f"{job.env_steps:,} of {total:,.0f} env steps ({percent} %)"


def short_steps(job: SeenJob) -> str:
    """``70.1k/140k``, for a table."""
    total = job.number("spec", "stop", "envSteps")
    return short_count(job.env_steps) + (f"/{short_count(total)}" if total else "")


def episode_return(job: SeenJob) -> str:
    mean = job.number("status", "progress", "episodeReturnMean")
    return f"{mean:.1f}" if mean is not None else ""


def measures(job: SeenJob) -> list[str]:
    """Return, speed, time left, checkpoint: those that are known, the middle two while it trains."""
    parts = []
    if episode_return(job):
        parts.append(f"return {episode_return(job)}")
    if job.state == Phase.TRAINING:
        speed = job.number("status", "progress", "envStepsPerSecond")
        left = job.number("status", "progress", "etaSeconds")
        parts += [f"{speed:,.0f} steps/s"] if speed is not None else []
        parts += [f"{duration(left)} left"] if left is not None else []
    saved = job.number("status", "checkpoint", "envSteps")
    if saved is not None:
        parts.append(f"checkpoint at {saved:,.0f}")
    return parts


def headline(job: SeenJob) -> str:
    """State, and attempt where it is not the first."""
    attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
    return f"{job.state}{attempt}"


def progress_line(job: SeenJob, now: datetime) -> str:
    """All of it in one line, for output that is no terminal."""
    parts = [headline(job)]
    if job.attempt or job.env_steps:
        parts += [steps(job), *measures(job)]
    waits = job.waits_for(now)
    return " · ".join([*parts, *([waits] if waits else [])])


def progress_block(job: SeenJob, now: datetime) -> list[str]:
    """A few lines, for a terminal that redraws them."""
    total = job.number("spec", "stop", "envSteps")
    lines = [f"{job.name}: {headline(job)}"]
    lines.append(f"  {bar(job.env_steps / total)} {steps(job)}" if total else f"  {steps(job)}")
    if measures(job):
        lines.append(f"  {' · '.join(measures(job))}")
    waits = job.waits_for(now)
    return [*lines, *([f"  {waits}"] if waits else [])]


def ending(job: SeenJob) -> list[str]:
    """What came of a finished job: reason, model, checkpoint, traceback."""
    summary = job.condition(ConditionType.SUCCEEDED)
    why = f"{summary.reason}: {summary.message}".rstrip(": ") if summary else ""
    lines = [f"{job.name}: {job.finished or job.state} ({why})", f"  {steps(job)}"]
    if episode_return(job):
        lines[-1] += f", return {episode_return(job)}"
    if job.text("status", "checkpoint", "uri"):
        lines.append(f"  checkpoint {job.text('status', 'checkpoint', 'uri')}")
    model = job.text("status", "model", "uri")
    if model:
        lines.append(f"  model      {model} (version {job.text('status', 'model', 'version')})")
    return lines if job.finished is Phase.SUCCEEDED else [*lines, *traceback(job)]


def traceback(job: SeenJob) -> list[str]:
    """The end of the last failure's traceback, line by line."""
    text = job.at("status", "traceback")
    return [f"  {plain_line(line)}" for line in text.splitlines()] if isinstance(text, str) else []


def plain_line(line: str) -> str:
    """As `plain`, with the indentation that a traceback needs."""
    indented = line.expandtabs(4)
    return " " * (len(indented) - len(indented.lstrip(" "))) + plain(indented)
