"""The few fields of a job that metrics show, kept beside the cached object: a scrape parses no job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from sys import intern
from typing import Any

MOST_CONDITIONS = 16  # as the schema allows; metrics promise a bound on series


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Times in epoch seconds; None: not so yet. Figures as in status.progress and status.checkpoint."""

    algorithm: str = ""
    queue: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    attempt: int = 0
    created: float | None = None
    training_since: float | None = None
    env_steps: float | None = None
    episode_return_mean: float | None = None
    env_steps_per_second: float | None = None
    checkpoint_env_steps: float | None = None

    @property
    def result(self) -> str | None:
        """succeeded or failed; None: it has not ended."""
        return {"True": "succeeded", "False": "failed"}.get(dict(self.conditions).get("Succeeded", ""))


def job_facts(document: Mapping[str, Any]) -> JobFacts:
    """Of a TrainingJob as the server has it; nothing in it is taken for granted."""
    spec, status = _group(document, "spec"), _group(document, "status")
    listed = status.get("conditions")
    conditions = [it for it in listed if isinstance(it, dict)] if isinstance(listed, list) else []
    training = next((it for it in conditions if it.get("type") == "Training"), {})
    progress, checkpoint = _group(status, "progress"), _group(status, "checkpoint")
    return JobFacts(
        algorithm=intern(str(next(iter(_group(spec, "algorithm")), ""))),
        queue=intern(str(_group(spec, "scheduling").get("queue") or "")),
        conditions=_shared(
            tuple((str(it.get("type")), str(it.get("status"))) for it in conditions[:MOST_CONDITIONS])
        ),
        attempt=int(_number(status.get("attempt")) or 0),
        created=_seconds(document["metadata"].get("creationTimestamp")),
        training_since=_seconds(training.get("lastTransitionTime")) if _holds(training) else None,
        env_steps=_number(progress.get("envSteps")),
        episode_return_mean=_number(progress.get("episodeReturnMean")),
        env_steps_per_second=_number(progress.get("envStepsPerSecond")),
        checkpoint_env_steps=_number(checkpoint.get("envSteps")),
    )


def _group(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where it is something else: an object may have been stored under another schema."""
    value = of.get(name)
    return value if isinstance(value, dict) else {}  # as JSON gives it; an abstract class would cost time


@cache
def _shared(conditions: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Thousands of jobs share a few combinations: three words for each of seven types."""
    return conditions


def _holds(condition: Mapping[str, Any]) -> bool:
    return condition.get("status") == "True"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _seconds(time: object) -> float | None:
    try:
        return datetime.fromisoformat(str(time)).timestamp() if time else None
    except ValueError:
        return None
